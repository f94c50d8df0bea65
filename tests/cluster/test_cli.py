"""The command line of `python -m cluster`: words in, exit code and one clear error out."""

import fcntl
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from cluster import __main__ as cli
from cluster import cache, engine, gobuild, images, kind, pins
from cluster.engine import Engine
from cluster.roads import Choice, Road
from cluster.shell import ClusterError
from tests.docs.pages import ROOT

OURS = Engine({}, owned=True)


def python_m_cluster(*args):
    argv = [sys.executable, "-m", "cluster", *args]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


@dataclass
class Kind:
    """Stands in for kind's door: knows its clusters, notes what is done."""

    there: list[str]
    done: list[str] = field(default_factory=list)

    def clusters(self):
        return self.there

    def exists(self):
        return kind.name() in self.there

    def delete(self):
        self.there.remove(kind.name())
        self.done.append("delete")


@pytest.fixture
def machine(own_cache, monkeypatch):
    """An engine of our own that runs a cluster; what is asked of the rest is noted."""
    made = Kind(["minidata"])

    def note(what, answer=None):
        return lambda *_: made.done.append(what) or answer

    monkeypatch.setattr(engine, "find", lambda: OURS)
    monkeypatch.setattr(engine, "ensure", note("start", OURS))
    monkeypatch.setattr(engine, "stop", note("stop"))
    monkeypatch.setattr(kind, "open_kind", lambda _: made)
    monkeypatch.setattr(kind, "ensure", lambda *args: made.done.append(args))
    monkeypatch.setattr(images, "ensure", note("build", ("a:1",)))
    monkeypatch.setattr(images, "load", lambda _, *args: made.done.append(args))
    monkeypatch.setattr(gobuild, "drop_sources", note("drop"))
    monkeypatch.setattr(gobuild, "ensure_tools", lambda builds: [build.name for build in builds])
    return made


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["up", "down", "images", "load", "tools"])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: python -m cluster {command}" in capsys.readouterr().out


def test_the_whole_is_explained_from_outside():
    done = python_m_cluster("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("up", "down", "images", "load", "tools", "MINIDATA_CACHE", "packages"):
        assert word in done.stdout


def test_an_error_reaches_the_shell(own_cache, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")  # it shall not get so far
    done = python_m_cluster("up", "--road", "offline")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: there is no road 'offline'",
        "  where: ROAD",
        "  Take auto, online or packages.",
    ]


@pytest.mark.parametrize(
    "words", [[], ["fly"], ["up", "--nodes", "2"], ["down", "--road", "auto"]], ids=str
)
def test_words_that_nobody_knows_are_a_usage_error(machine, capsys, words):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err
    assert machine.done == []


@pytest.mark.parametrize("command", ["up", "images", "load"])
def test_an_unknown_road_is_an_error_before_anything_is_started(machine, capsys, command):
    assert cli.main([command, "--road", "offline"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: there is no road 'offline'\n")
    assert machine.done == []


@pytest.mark.parametrize("command", ["up", "images", "load"])
def test_an_error_is_told_without_a_traceback(machine, capsys, monkeypatch, command):
    def no_engine():
        raise ClusterError("no Docker engine answers", where="here", mend="Start it.")

    monkeypatch.setattr(engine, "ensure", no_engine)
    assert cli.main([command, "--road", "packages"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "road: packages (as asked)",
        "error: no Docker engine answers",
        "  where: here",
        "  Start it.",
    ]


# --- commands -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["up", "images", "load"])
def test_the_road_is_found_unless_one_is_asked_for(machine, monkeypatch, command):
    asked = []
    monkeypatch.setattr(cli, "find", lambda road: asked.append(road) or Choice(Road.ONLINE))
    cli.main([command])
    assert asked == ["auto"]


@pytest.mark.parametrize(("words", "nodes"), [([], 1), (["--nodes", "3"], 3)])
def test_up_makes_a_cluster_and_tells_how_to_speak_to_it(machine, capsys, words, nodes):
    assert cli.main(["up", "--road", "packages", *words]) == 0
    started, (opened, choice, asked) = machine.done
    assert (started, opened, asked) == ("start", machine, nodes)
    assert choice.road is Road.PACKAGES
    assert "context kind-minidata" in capsys.readouterr().err


def test_images_are_built_and_the_sources_of_programs_dropped(machine):
    assert cli.main(["images", "--road", "packages"]) == 0
    assert machine.done == ["start", "build", "drop"]


def test_images_are_loaded_into_the_cluster(machine):
    assert cli.main(["load", "--road", "packages"]) == 0
    assert machine.done == ["start", "build", ("minidata", ("a:1",))]


def test_nothing_is_loaded_where_there_is_no_cluster(machine, capsys):
    machine.there.clear()
    assert cli.main(["load", "--road", "packages"]) == 1
    assert "there is no cluster minidata\n  Run `make cluster` first." in capsys.readouterr().err
    assert machine.done == ["start"]


@pytest.mark.parametrize(
    ("others", "done"), [([], ["delete", "stop"]), (["other"], ["delete"])], ids=["last", "other"]
)
def test_the_engine_ends_with_the_last_cluster(machine, capsys, others, done):
    machine.there += others
    assert cli.main(["down"]) == 0
    assert machine.done == done
    assert ("other clusters" in capsys.readouterr().err) is bool(others)


def test_where_there_is_no_engine_there_is_nothing_to_remove(machine, capsys, monkeypatch):
    monkeypatch.setattr(engine, "find", lambda: None)
    assert cli.main(["down"]) == 0
    assert "nothing to remove" in capsys.readouterr().err
    assert machine.done == []


def test_tools_are_told_as_paths_one_a_line(machine, capsys):
    assert cli.main(["tools"]) == 0
    names = [build.name for build in (*pins.HOST_TOOLS, pins.MINIO_SERVER)]
    assert capsys.readouterr().out.splitlines() == [str(cache.binaries() / name) for name in names]


def test_only_one_command_works_at_a_time(machine, monkeypatch):
    def take_lock():
        with (cache.root() / "cluster.lock").open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(engine, "find", take_lock)
    with pytest.raises(BlockingIOError):
        cli.main(["down"])
    take_lock()
