"""Finding and ending what a dead engine left."""

import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import leftovers, processes
from cluster.leftovers import bridge_names, mounts_below

MOUNTINFO = """22 1 254:0 / / rw - ext4 /dev/root rw
30 22 0:26 / /run/minidata-1 rw - tmpfs tmpfs rw
31 22 0:27 / /cache/my\\040engine/data/overlay2/x/merged rw,relatime shared:1 - overlay overlay rw
32 22 0:4 net:[4026532] /run/minidata-1/docker/netns/abc rw - nsfs nsfs rw
33 22 0:26 / /run/minidata-10/docker rw - tmpfs tmpfs rw
"""


def test_mounts_are_found_by_whole_path_last_one_first():
    folders = [Path("/run/minidata-1"), Path("/cache/my engine")]
    assert mounts_below(MOUNTINFO, folders) == [
        "/run/minidata-1/docker/netns/abc",
        "/cache/my engine/data/overlay2/x/merged",
        "/run/minidata-1",
    ]
    assert mounts_below(MOUNTINFO, [Path("/run/minidata")]) == []


def test_bridges_are_named_by_a_damaged_database(tmp_path):
    database = tmp_path / "local-kv.db"
    assert bridge_names(database) == set()
    database.write_bytes(b'\x00\xff{"BridgeName":"br-cab7224409a9"}\x00br-lan br-0123456789abXX')
    assert bridge_names(database) == {"br-cab7224409a9", "br-0123456789ab"}


def test_only_bridges_that_are_there_and_ours_are_removed(monkeypatch):
    calls = []
    answers = {"bridge": ["br-cab7224409a9", "br-lan"], "br-cab7224409a9": ["veth1", "veth2"]}
    monkeypatch.setattr(leftovers, "_links", lambda _, name: answers[name])
    for name in ("run", "succeeds"):
        monkeypatch.setattr(leftovers.shell, name, lambda argv: calls.append(argv[-1]))
    leftovers.remove_bridges({"br-cab7224409a9", "br-0123456789ab"})
    assert calls == ["veth1", "veth2", "br-cab7224409a9"]
    leftovers.remove_bridges(set())
    assert len(calls) == 3


@pytest.mark.parametrize("parents", [("",), ("cpu", "memory", "unified")], ids=["v2", "v1"])
def test_a_cgroup_is_found_with_its_members_and_removed(tmp_path, monkeypatch, parents):
    monkeypatch.setattr(leftovers, "CGROUPS", tmp_path)
    monkeypatch.setattr(leftovers, "CGROUP_SECONDS", 0.2)
    numbers = itertools.count(100)
    for parent in parents:
        inner = tmp_path / parent / "minidata-1" / "container" / "nested"
        inner.mkdir(parents=True)
        for folder in (inner, inner.parent):
            (folder / "cgroup.procs").write_text(f"{next(numbers)}\n")
    assert leftovers.cgroup_members("minidata-1") == set(range(100, 100 + 2 * len(parents)))
    assert leftovers.cgroup_members("minidata-2") == set()
    for file in tmp_path.rglob("cgroup.procs"):
        file.unlink()  # files of the kernel's are no obstacle, those of a test are
    leftovers.remove_cgroups("minidata-1")
    assert leftovers.cgroups("minidata-1") == []


@pytest.fixture
def stubborn():
    """A process that does not end when asked to."""
    code = (
        "import signal,time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(99)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        yield child
        child.kill()


def test_a_process_is_found_by_the_words_it_was_started_with(stubborn):
    found = next(one for one in processes.running() if one.pid == stubborn.pid)
    assert found.argv == tuple(stubborn.args)
    assert found.program == Path(sys.executable).name


def test_whoever_ignores_a_request_to_end_is_killed(stubborn):
    def find():
        return {one.pid for one in processes.running() if one.pid == stubborn.pid}

    assert not processes.end(find, signal.SIGTERM, 0.3)
    assert stubborn.poll() is None
    assert processes.end(find, signal.SIGKILL, 10)
    assert stubborn.wait() == -signal.SIGKILL


def test_a_number_without_a_process_is_nothing_to_wait_for():
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    rounds = iter([{gone.pid}, set()])
    assert processes.end(lambda: next(rounds), signal.SIGKILL, 5)


def test_the_network_of_a_process_is_known_until_it_has_gone():
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    here = processes.network_namespace("self")
    assert here == Path("/proc/self/ns/net").stat().st_ino
    assert processes.network_namespace(gone.pid) is None
