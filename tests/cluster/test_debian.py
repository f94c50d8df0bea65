"""Packages are installed only where something is missing and somebody may."""

import pytest

from cluster import debian
from cluster.shell import ClusterError

PROGRAMS = {"docker": ("docker-cli", "docker.io"), "dockerd": ("docker.io",), "ip": ("iproute2",)}


@pytest.fixture
def machine(monkeypatch):
    """Root on a Debian that has only `ip` and knows no docker-cli; what it runs is kept."""
    calls = []
    present = {"ip", "apt-get"}
    monkeypatch.setattr(debian.shutil, "which", lambda name: name if name in present else None)
    monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian.shell, "run", lambda argv, **_: calls.append(argv))
    monkeypatch.setattr(debian.shell, "succeeds", lambda argv: argv[-1] != "docker-cli")
    return calls


def test_what_is_there_is_not_installed(machine):
    assert not debian.install({"ip": ("iproute2",)})
    assert machine == []


def test_what_is_missing_is_installed_after_saying_so(machine, capsys):
    assert debian.install(PROGRAMS)
    assert [argv[0] for argv in machine] == ["dpkg", "apt-get", "apt-get"]
    assert machine[-1][-3:] == ["--yes", "--no-install-recommends", "docker.io"]
    assert "docker, dockerd" in capsys.readouterr().err.splitlines()[0]


def test_the_first_package_that_exists_is_taken(machine, monkeypatch):
    monkeypatch.setattr(debian.shell, "succeeds", lambda _: True)
    debian.install(PROGRAMS)
    assert machine[-1][-2:] == ["docker-cli", "docker.io"]


@pytest.mark.parametrize("obstacle", ["no root", "no Debian"])
def test_who_cannot_install_is_told_what_to_do(machine, monkeypatch, obstacle):
    if obstacle == "no root":
        monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    else:
        monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    with pytest.raises(ClusterError, match=r"missing: docker, dockerd.*[\s\S]*run this as root"):
        debian.install(PROGRAMS)
    assert machine == []
