"""Which engine is used, and how one of our own is laid out; test_engine_life.py runs it."""

import json
import os
import socket
import subprocess
import threading
import tomllib
from pathlib import Path

import pytest

from cluster import cache, daemons, engine, oci_runtime
from cluster.daemons import Layout
from cluster.engine import Engine
from cluster.firewall import Before
from cluster.processes import Process
from cluster.shell import ClusterError

USERS_OWN = Engine({}, owned=False)


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """The layout of an engine in a cache folder of the test's."""
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return Layout.below(cache.root())


@pytest.fixture
def started(layout, monkeypatch):
    """Root on a Linux without any engine; the engines that were started are kept."""
    starts = []
    monkeypatch.setattr(engine.sys, "platform", "linux")
    monkeypatch.setattr(engine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine.debian, "install", lambda _: False)
    monkeypatch.setattr(engine.firewall, "note", lambda _: None)
    monkeypatch.setattr(daemons, "sweep", lambda _: None)
    monkeypatch.setattr(engine, "_complaint", lambda: "nobody there")
    monkeypatch.setattr(daemons, "up", lambda _: False)
    monkeypatch.setattr(daemons, "start", starts.append)
    return starts


def answering(monkeypatch, *, ours=False, theirs=False):
    monkeypatch.setattr(engine, "_complaint", lambda: "" if theirs else "nobody there")
    monkeypatch.setattr(daemons, "up", lambda _: ours)


def own(layout):
    return Engine({"DOCKER_HOST": f"unix://{layout.socket}"}, owned=True)


def test_the_users_engine_is_used_as_it_is(started, monkeypatch):
    answering(monkeypatch, theirs=True)
    assert engine.ensure() == USERS_OWN
    assert started == []


def test_our_own_goes_on_where_it_runs(layout, started, monkeypatch):
    answering(monkeypatch, ours=True, theirs=True)
    assert engine.ensure() == own(layout)
    assert started == []


def test_a_named_engine_wins(started, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2376")
    answering(monkeypatch, ours=True, theirs=True)
    assert engine.ensure() == USERS_OWN


def test_a_named_engine_that_does_not_answer_is_not_replaced(started, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2376")
    with pytest.raises(ClusterError, match=r"nobody there[\s\S]*tcp://elsewhere[\s\S]*unset"):
        engine.ensure()
    assert started == []


@pytest.mark.parametrize("name", ["socket", "link"])
def test_naming_our_own_starts_it(layout, started, monkeypatch, name):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{getattr(layout, name)}")
    answering(monkeypatch, theirs=True)
    assert engine.ensure() == own(layout)
    assert started == [layout]


def test_without_any_engine_ours_is_started(layout, started):
    assert engine.ensure() == own(layout)
    assert started == [layout]


@pytest.mark.parametrize(("platform", "uid"), [("darwin", 0), ("linux", 1000)])
def test_who_cannot_start_one_is_told_what_to_do(started, monkeypatch, platform, uid):
    monkeypatch.setattr(engine.sys, "platform", platform)
    monkeypatch.setattr(engine.os, "geteuid", lambda: uid)
    with pytest.raises(ClusterError, match=r"nobody there[\s\S]*Start Docker"):
        engine.ensure()
    assert started == []


def test_a_service_that_came_with_the_package_is_used(started, monkeypatch):
    complaints = iter(["nobody there", ""])
    monkeypatch.setattr(engine, "_complaint", lambda: next(complaints))
    monkeypatch.setattr(engine.debian, "install", lambda _: True)
    assert engine.ensure() == USERS_OWN
    assert started == []


def failing(times, layout):
    """A start that fails so many times, having made a data folder as dockerd does."""
    left = iter(range(times))

    def start(_):
        layout.data.mkdir(exist_ok=True)
        if next(left, None) is not None:
            raise ClusterError("dockerd did not start")

    return start


def test_data_that_it_cannot_start_from_is_given_up(layout, started, monkeypatch, capsys):
    (layout.data / "images").mkdir(parents=True)
    monkeypatch.setattr(daemons, "start", failing(1, layout))
    engine.ensure()
    assert "Starting afresh" in capsys.readouterr().err
    assert sorted(path.name for path in layout.root.glob("data*")) == ["data"]
    assert list(layout.data.iterdir()) == []


def test_data_survives_if_it_was_not_to_blame(layout, started, monkeypatch):
    (layout.data / "images").mkdir(parents=True)
    monkeypatch.setattr(daemons, "start", failing(2, layout))
    with pytest.raises(ClusterError):
        engine.ensure()
    assert sorted(path.name for path in layout.root.glob("data*")) == ["data"]
    assert [path.name for path in layout.data.iterdir()] == ["images"]


def test_a_first_start_that_fails_is_not_tried_again(layout, started, monkeypatch):
    monkeypatch.setattr(daemons, "start", failing(1, layout))
    with pytest.raises(ClusterError):
        engine.ensure()


def test_nothing_is_started_to_find_an_engine(layout, started, monkeypatch):
    assert engine.find() is None
    answering(monkeypatch, theirs=True)
    assert engine.find() == USERS_OWN
    assert started == []


def test_an_engine_that_died_is_found_by_its_data(layout, started):
    layout.data.mkdir(parents=True)
    assert engine.find() == own(layout)
    assert started == [layout]


def test_stopping_what_never_ran_does_nothing(layout):
    engine.stop()
    assert not layout.root.exists()


def fake_docker(folder, script, monkeypatch):
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 28.2.2", ""),
        ("echo Client; echo 'permission denied' >&2; exit 1", "permission denied"),
        ("exit 1", "no reason given"),
        ("exec sleep 9", "not a word within 0.3 s"),
    ],
)
def test_docker_itself_tells_whether_its_engine_answers(tmp_path, monkeypatch, script, complaint):
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.3 if "sleep" in script else 10)
    fake_docker(tmp_path, script, monkeypatch)
    assert engine._complaint() == complaint


def test_a_machine_without_docker_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine._complaint() == "docker is not installed"


@pytest.fixture
def noted(layout, monkeypatch):
    """Sets what is known of the machine before; there is one bridge that the data does not name."""
    monkeypatch.setattr(daemons.leftovers, "docker_bridges", lambda: {"br-0123456789ab"})
    database = layout.data / "network/files/local-kv.db"
    database.parent.mkdir(parents=True)
    database.write_text("br-cab7224409a9")

    def note(before):
        monkeypatch.setattr(daemons.firewall, "noted", lambda _: before)

    return note


def before(*, chains):
    return Before("boot", chains=chains, policies={}, sysctls={})


def dockerd(pid, monkeypatch, *words):
    monkeypatch.setattr(
        daemons.processes, "running", lambda: [Process(pid, ("/usr/sbin/dockerd", *words))]
    )


def test_the_only_docker_there_was_owns_every_bridge_of_dockers(layout, noted, monkeypatch):
    noted(before(chains=False))
    dockerd(os.getpid(), monkeypatch, "--config-file", str(layout.configuration("dockerd")))
    assert daemons.bridges(layout) == {"br-0123456789ab", "br-cab7224409a9"}


def test_beside_another_docker_it_owns_what_its_data_names(layout, noted, monkeypatch):
    for earlier in (None, before(chains=True)):
        noted(earlier)
        assert daemons.bridges(layout) == {"br-cab7224409a9"}
    noted(before(chains=False))
    dockerd(os.getpid(), monkeypatch)
    assert daemons.bridges(layout) == {"br-cab7224409a9"}


def test_layouts_of_two_folders_share_nothing(tmp_path):
    one, other = Layout.below(tmp_path / "one"), Layout.below(tmp_path / "other")
    assert one == Layout.below(tmp_path / "other" / ".." / "one")
    assert {one.root, one.run, one.cgroup}.isdisjoint({other.root, other.run, other.cgroup})


def test_socket_paths_fit_however_long_the_cache_folder_is(tmp_path):
    run = Layout.below(tmp_path / ("x" * 200)).run
    assert len(f"{run}/docker/libnetwork/0123456789ab.sock") < 60


@pytest.mark.parametrize(
    ("command", "owned"),
    [
        ("/usr/sbin/dockerd --config-file {root}/daemon.json", True),
        ("setsid --fork containerd --config {root}/containerd.toml", True),
        ("/usr/bin/containerd-shim-runc-v2 -id x -address {run}/containerd.sock", True),
        ("runc --root {run}/docker/runtime-runc/moby create x", True),
        ("/usr/bin/python3.11 -IS {root}/oci-runtime --root /x state y", True),
        ("dockerd --config-file {root}-other/daemon.json", False),
        ("containerd-shim-runc-v2 -address {run}0/containerd.sock", False),
        ("dockerd", False),
        ("tail -f {root}/dockerd.log", False),
        ("vim {root}/oci-runtime", False),
        ("docker -H unix://{run}/docker.sock ps", False),
    ],
)
def test_a_process_is_ours_by_program_and_folder(layout, command, owned):
    argv = command.format(root=layout.root, run=layout.run).split()
    assert layout.owns(Process(1, tuple(argv))) is owned


def test_the_engine_keeps_to_its_own_folders(layout):
    settings = json.loads(daemons.daemon_json(layout, missing=()))
    places = [settings[key] for key in ("containerd", "data-root", "exec-root", "pidfile")]
    assert all(
        Path(place).is_relative_to(layout.run) or place == str(layout.data) for place in places
    )
    assert settings["hosts"] == [f"unix://{layout.socket}"]
    assert settings["bridge"] == "none"
    assert "default-runtime" not in settings
    containerd = tomllib.loads(daemons.containerd_toml(layout))
    assert containerd["grpc"]["address"] == settings["containerd"]
    assert all(Path(containerd[key]).is_relative_to(layout.run) for key in ("root", "state"))


def test_only_a_machine_that_lacks_a_capability_gets_the_wrapper(layout):
    settings = json.loads(daemons.daemon_json(layout, missing={"CAP_SYS_RESOURCE"}))
    runtime = settings["runtimes"][settings["default-runtime"]]["path"]
    daemons.write_configuration(layout, {"CAP_SYS_RESOURCE"})
    interpreter = Path(runtime).read_text().splitlines()[0].removeprefix("#!").removesuffix(" -IS")
    assert os.access(runtime, os.X_OK)
    assert not Path(interpreter).is_symlink()
    told = subprocess.run([interpreter, "-c", "print('real')"], capture_output=True, check=True)
    assert told.stdout == b"real\n"
    assert Path(runtime).read_text().endswith(Path(oci_runtime.__file__).read_text())


@pytest.fixture
def listening(layout, tmp_path, monkeypatch):
    """A socket at which a thread gives one answer: what it reads from the list."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    answers = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("docker.sock")
        server.listen()

        def serve():
            with server.accept()[0] as client:
                client.recv(100)
                client.sendall(answers[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield answers
        thread.join()


@pytest.mark.parametrize(
    ("answer", "up"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nOK", True),
        (b"HTTP/1.0 500 Internal Server Error\r\n\r\n", False),
        (b"", False),
    ],
)
def test_an_engine_is_up_once_it_answers(listening, answer, up):
    listening.append(answer)
    assert daemons._answers(Path("docker.sock")) is up


def test_an_engine_without_processes_is_not_up_whatever_lies_around(layout):
    assert not daemons.up(layout)
    assert not daemons._answers(layout.socket)
