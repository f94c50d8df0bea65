"""What is kept is whole, whoever interrupts; and only one works at a time."""

import signal
import subprocess
import sys

import pytest

from cluster import cache
from cluster.shell import ClusterError
from tests.docs.pages import ROOT

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from cluster import cache
with cache.publish(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
HOLD_LOCK = """
import sys
from cluster import cache
with cache.lock("one"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def script(code, *args):
    return [sys.executable, "-c", code, *args]


def test_the_cache_is_where_the_environment_says(folder, monkeypatch):
    assert cache.root() == folder
    monkeypatch.delenv("MINIDATA_CACHE")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(cache.root()) == "/somewhere/.cache/minidata"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_result_takes_its_place_when_it_is_done(folder, kind):
    """The second takes the place of the first, and no draft is left."""
    target = folder / "programs" / "one"
    for content in ("first", "second"):
        with cache.publish(target) as draft:
            if kind == "folder":
                draft.mkdir()
            (draft / "it" if kind == "folder" else draft).write_text(content)
            assert not (kind == "file" and content == "first" and target.exists())
    assert (target / "it" if kind == "folder" else target).read_text() == "second"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_what_was_there_before(folder):
    target = folder / "one"
    with cache.publish(target) as draft:
        draft.write_text("good")
    with pytest.raises(FileNotFoundError), cache.publish(target) as draft:
        draft.write_text((folder / "missing").read_text())
    assert target.read_text() == "good"


def test_a_writer_that_made_nothing_is_an_error(folder):
    with pytest.raises(ClusterError, match="nothing was made"), cache.publish(folder / "one"):
        pass


def test_what_a_killed_writer_left_is_neither_taken_for_done_nor_in_the_way(folder):
    target = folder / "one"
    killed = subprocess.run(script(KILLED_WHILE_WRITING, str(target)), cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    assert [path.name for path in folder.iterdir()] == [".one.draft"]
    with cache.publish(target) as draft:
        assert not draft.exists()
        draft.write_text("whole")
    assert target.read_text() == "whole"


@pytest.mark.parametrize("end", ["finish", "kill"])
def test_a_lock_waits_for_its_holder_and_for_no_dead_one(end, capsys):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(script(HOLD_LOCK), cwd=ROOT, **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        waiter = script("from cluster import cache\nwith cache.lock('one'): pass")
        with subprocess.Popen(waiter, cwd=ROOT, stderr=subprocess.PIPE, text=True) as waiting:
            assert "waiting for another process" in waiting.stderr.readline()
            assert waiting.poll() is None
            if end == "kill":
                holder.kill()
            else:
                holder.stdin.close()
            assert waiting.wait(30) == 0


def test_a_digest_changes_with_every_part_and_nothing_else(tmp_path):
    file = tmp_path / "file"
    file.write_text("content")
    first = cache.digest(["a", "b"], [file])
    assert first == cache.digest(["a", "b"], [file])
    assert len(first) == 16
    others = [
        cache.digest(["ab"], [file]),
        cache.digest(["b", "a"], [file]),
        cache.digest(["a", "b"]),
    ]
    file.chmod(0o755)
    others.append(cache.digest(["a", "b"], [file]))
    file.write_text("other content")
    others.append(cache.digest(["a", "b"], [file]))
    others.append(cache.digest(["a", "b"], [file.rename(tmp_path / "name")]))
    assert len({first, *others}) == 7
