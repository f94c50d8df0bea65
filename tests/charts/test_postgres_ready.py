"""The readiness probe of `charts/postgres`: who is ready, and when the certificate is read anew."""

import os
import subprocess

import pytest

from tests.charts.postgres_chart import container_of
from tests.charts.postgres_local import SECRETS, local_pod
from tests.charts.support import render

STAND_IN = """\
#!/bin/sh
echo "$PGDATA: $*" >>"$0.calls"
exit "$(cat "$0.code" 2>/dev/null || echo 0)"
"""
"""Of a program of the server's: notes how it is called, ends as it is told."""


class Pod:
    """The server's container, whose kubelet asks as often as one likes."""

    def __init__(self, folder):
        self.programs = folder / "programs"
        self.programs.mkdir()
        for name in ("pg_isready", "pg_ctl"):
            (self.programs / name).write_text(STAND_IN, "utf-8")
            (self.programs / name).chmod(0o755)
        pair = {"postgres-tls": {"tls.crt": "certificate", "tls.key": "key"}}
        self.made = local_pod("StatefulSet", "postgres", folder / "root", SECRETS | pair)
        self.tls = self.made.root / "tls"

    def is_ready(self):
        """What the probe answers."""
        _, script = self.made.container["readinessProbe"]["exec"]["command"]
        environ = self.made.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        argv = ["sh", f"{self.made.root}{script}"]
        ended = subprocess.run(argv, env=environ, capture_output=True, timeout=30, check=False)
        return ended.returncode == 0

    def end(self, program, code):
        """Have a program end with a code from now on."""
        (self.programs / f"{program}.code").write_text(str(code))

    def calls(self, program="pg_ctl"):
        """How a program was called so far, after the name of its data directory."""
        calls = self.programs / f"{program}.calls"
        lines = calls.read_text("utf-8").splitlines() if calls.exists() else []
        assert {line.partition(": ")[0] for line in lines} <= {self.made.environ["PGDATA"]}
        return [line.partition(": ")[2] for line in lines]


@pytest.fixture
def pod(tmp_path):
    return Pod(tmp_path)


def test_readiness_is_a_matter_of_tls(pod):
    assert pod.is_ready()
    assert pod.calls("pg_isready") == ["--quiet --dbname=host=127.0.0.1 sslmode=require"]
    pod.end("pg_isready", 1)
    assert not pod.is_ready()


def test_only_the_probe_for_readiness_reads_certificates_anew():
    server = container_of(render("postgres"), "postgres")
    probes = {kind: str(server[f"{kind}Probe"]["exec"]) for kind in ("startup", "liveness")}
    assert [kind for kind, probe in probes.items() if "ready.sh" in probe] == []


@pytest.mark.parametrize("file", ["tls.crt", "tls.key"])
def test_a_new_certificate_is_read_once(pod, file):
    """And the one that was there at the start, which may have changed while the server began."""
    assert [pod.is_ready() for _ in range(3)] == [True] * 3
    assert pod.calls() == ["reload --silent"]
    (pod.tls / file).write_text("new")
    assert [pod.is_ready() for _ in range(3)] == [True] * 3
    assert pod.calls() == ["reload --silent"] * 2


def test_a_server_that_is_not_ready_is_told_once_it_is(pod):
    pod.end("pg_isready", 1)
    assert not pod.is_ready()
    assert pod.calls() == []
    pod.end("pg_isready", 0)
    assert pod.is_ready()
    assert pod.calls() == ["reload --silent"]


def test_a_server_that_cannot_be_told_is_ready_and_told_again(pod):
    pod.end("pg_ctl", 1)
    assert [pod.is_ready(), pod.is_ready()] == [True, True]
    pod.end("pg_ctl", 0)
    assert [pod.is_ready(), pod.is_ready()] == [True, True]
    assert pod.calls() == ["reload --silent"] * 3


def test_no_key_is_left_behind(pod):
    (pod.tls / "tls.key").write_text("a very private key")
    assert pod.is_ready()
    found = [path for path in pod.made.root.rglob("*") if path.is_file()]
    holding = [path for path in found if "very private" in path.read_text("utf-8")]
    assert holding == [pod.tls / "tls.key"]
