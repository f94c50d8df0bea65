"""A real engine of our own: started, used, killed, broken, stopped."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cluster.second_engine import BORROW, IMAGE, SecondEngine, own_network

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root starts an engine of its own"
    ),
]


@pytest.fixture
def network():
    """A network that the engines of one test have for themselves."""
    with own_network() as holder:
        yield holder


@pytest.fixture
def engine(tmp_path, network):
    """An engine that does not run yet."""
    made = SecondEngine(tmp_path, network)
    yield made
    made.stop()
    made.kill()


def bounding_set(status):
    return int(next(x for x in status.splitlines() if x.startswith("CapBnd:")).split()[1], 16)


def traces(engine):
    """What an engine that was stopped has left on the machine."""
    state = (engine.layout.run, engine.layout.link, engine.layout.note)
    found = {
        "processes": engine.processes(),
        "mounts": engine.mounts(),
        "interfaces": engine.interfaces() - {"lo"},
        "cgroups": engine.cgroups(),
        "state": [path for path in state if os.path.lexists(path)],
    }
    return {kind: left for kind, left in found.items() if left}


def bridges(engine):
    return {name for name in engine.interfaces() if name.startswith("br-")}


def shim_sockets(engine):
    """They lie outside the engine's own folders; only its state tells which they are."""
    notes = engine.layout.run.glob("containerd/*/*/*/address")
    return [Path(note.read_text().removeprefix("unix://")) for note in notes]


def test_privileged_containers_get_what_this_machine_has(engine):
    engine.ensure()
    engine.import_image()
    engine.run_node("node")
    status = ("cat", "/proc/self/status")
    main = bounding_set(engine.docker("exec", "--privileged", "node", *status))
    plain = bounding_set(engine.docker("run", "--rm", *BORROW, IMAGE, *status))
    here = bounding_set(Path("/proc/self/status").read_text())
    assert main & ~here == 0
    assert main >> 21 & 1  # CAP_SYS_ADMIN: privileged it is
    assert plain & ~main == 0
    assert not plain >> 21 & 1


def test_two_callers_at_once_get_one_engine(engine):
    calls = [engine.start("ensure()") for _ in range(2)]
    outcomes = {call.communicate(timeout=180)[0] for call in calls}
    assert len(outcomes) == 1
    assert f"unix://{engine.layout.socket}" in outcomes.pop()
    assert sum(one.name() == "dockerd" for one in engine.processes()) == 1


def test_it_comes_up_after_everything_was_killed(engine):
    engine.ensure()
    engine.import_image()
    engine.run_node("node")
    engine.kill()
    assert engine.interfaces() > {"lo"}
    assert engine.layout.socket.exists()
    engine.ensure()
    assert engine.docker("images", "--quiet", IMAGE)
    engine.docker("rm", "--force", "node")
    engine.run_node("node")
    assert engine.docker("exec", "node", "echo", "well") == "well"


def test_it_comes_up_though_a_container_outlived_its_engine(engine):
    engine.ensure()
    engine.import_image()
    engine.run_node("node")
    survivor = next(one for one in engine.processes() if one.name() == "sleep")
    for process in engine.processes():
        if process != survivor:
            process.kill()
    engine.ensure()
    assert psutil.wait_procs([survivor], timeout=10)[0] == [survivor]
    engine.docker("start", "node")
    assert engine.docker("exec", "node", "echo", "well") == "well"


def test_it_starts_afresh_from_data_that_is_no_good(engine):
    engine.ensure()
    engine.import_image()
    engine.docker("network", "create", "kind")
    engine.kill()
    database = engine.layout.data / "network" / "files" / "local-kv.db"
    database.write_bytes(b"not a database" * 1000)
    assert "Starting afresh" in engine.ensure()
    assert not engine.docker("images", "--quiet")
    assert [path.name for path in engine.layout.root.glob("data*")] == ["data"]


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_stopping_leaves_images_and_nothing_else(engine, killed):
    engine.tool("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
    engine.tool("iptables", "-A", "FORWARD", "-i", "lo", "-j", "ACCEPT")
    rules = engine.filter_rules()
    assert rules == ["-A FORWARD -i lo -j ACCEPT"]
    engine.ensure()
    engine.import_image()
    engine.run_node("node")
    assert set(traces(engine)) == {"processes", "mounts", "interfaces", "cgroups", "state"}
    assert ":FORWARD DROP" in engine.filter_rules()
    assert engine.forwarding() == "1"
    sockets = shim_sockets(engine)
    assert [path.is_socket() for path in sockets] == [True]
    if killed:
        engine.kill()
    engine.stop()
    assert traces(engine) == {}
    assert engine.filter_rules() == rules
    assert engine.forwarding() == "0"
    assert not sockets[0].exists()
    engine.ensure()
    assert engine.docker("images", "--quiet", IMAGE)


def test_it_comes_up_though_its_cache_folder_was_deleted_while_it_ran(engine):
    engine.ensure()
    engine.import_image()
    engine.run_node("node")
    subprocess.run(["rm", "-rf", engine.layout.root], check=False)  # what is mounted resists
    engine.ensure()
    engine.import_image()
    engine.run_node("node")
    assert engine.docker("exec", "node", "echo", "well") == "well"
    engine.stop()
    assert traces(engine) == {}


def test_an_engine_beside_it_goes_on_when_it_stops(engine, tmp_path_factory):
    beside = SecondEngine(tmp_path_factory.mktemp("beside"), engine.network)
    try:
        for one in (engine, beside):
            one.ensure()
            one.import_image()
            one.run_node("node")
        assert len(bridges(beside)) == 2
        engine.stop()
        assert beside.docker("exec", "node", "echo", "well") == "well"
        (left,) = bridges(beside)
        assert any(left in rule for rule in beside.filter_rules())
    finally:
        beside.stop()


def test_someone_else_at_the_number_of_a_dead_daemon_is_left_alone(engine):
    engine.ensure()
    engine.kill()
    pid_file = engine.layout.run / "docker.pid"
    pid_file.write_text(str(os.getpid()))
    engine.ensure()
    assert int(pid_file.read_text()) != os.getpid()


def test_a_stale_socket_is_no_engine(engine):
    engine.layout.run.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(engine.layout.socket))
    engine.ensure()
    assert engine.docker("version", "--format", "{{.Server.Os}}") == "linux"
