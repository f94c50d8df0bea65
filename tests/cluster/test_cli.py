"""The command line of `python -m cluster`: words in, exit code and one clear error out."""

import subprocess
import sys

import pytest

from cluster import __main__ as cli
from cluster import engine
from cluster.shell import ClusterError
from tests.docs.pages import ROOT


def python_m_cluster(*args):
    argv = [sys.executable, "-m", "cluster", *args]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [[], ["up"], ["down"], ["images"], ["load"], ["tools"]])
def test_every_command_explains_itself(command):
    done = python_m_cluster(*command, "--help")
    assert done.returncode == 0
    assert "usage: python -m cluster" in done.stdout


def test_a_command_is_needed():
    assert python_m_cluster().returncode == 2


def test_an_error_is_told_without_a_traceback(own_cache, capsys, monkeypatch):
    def no_engine():
        raise ClusterError("no Docker engine answers", where="here", mend="Start it.")

    monkeypatch.setattr(engine, "ensure", no_engine)
    assert cli.main(["images"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "error: no Docker engine answers\n  where: here\n  Start it.\n"


def test_an_unknown_road_is_an_error(own_cache, capsys, monkeypatch):
    monkeypatch.setattr(engine, "ensure", lambda: engine.Engine({}, owned=False))
    assert cli.main(["images", "--road", "offline"]) == 1
    assert "there is no road 'offline'" in capsys.readouterr().err


def test_where_there_is_no_engine_there_is_nothing_to_remove(own_cache, capsys, monkeypatch):
    monkeypatch.setattr(engine, "find", lambda: None)
    monkeypatch.setattr(engine, "stop", pytest.fail)
    assert cli.main(["down"]) == 0
    assert "nothing to remove" in capsys.readouterr().err
