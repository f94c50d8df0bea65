"""What is kept is whole, whoever interrupts; and only one works at a time."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import cache
from cluster.shell import ClusterError
from tests.docs.pages import ROOT

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from cluster import cache
with cache.publish(Path(sys.argv[1])) as draft:
    if sys.argv[2] == "folder":
        draft.mkdir()
    (draft / "it" if sys.argv[2] == "folder" else draft).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
LOCK = """
import sys
from cluster import cache
with cache.lock(sys.argv[1]):
    print("in", flush=True)
    sys.stdin.read()
"""
QUIET_SECONDS = 0.2

pytestmark = pytest.mark.usefixtures("own_cache")


def script(code, *args):
    return [sys.executable, "-c", code, *args]


def write(draft, kind, content):
    """Make a draft's content: a file, or a folder with one in it."""
    if kind == "folder":
        draft.mkdir()
    (draft / "it" if kind == "folder" else draft).write_text(content)


def break_off(target, kind):
    with cache.publish(target) as draft:
        write(draft, kind, "half")
        raise KeyboardInterrupt


def read(target, kind):
    return (target / "it" if kind == "folder" else target).read_text()


@pytest.mark.parametrize(
    ("named", "want"),
    [
        (None, "/home/somebody/.cache/minidata"),
        ("", "/home/somebody/.cache/minidata"),
        ("/elsewhere", "/elsewhere"),
        ("~/kept", "/home/somebody/kept"),
        ("kept", "{here}/kept"),
    ],
)
def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch, named, want):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("MINIDATA_CACHE")
    if named is not None:
        monkeypatch.setenv("MINIDATA_CACHE", named)
    assert str(cache.root()) == want.format(here=tmp_path)


def test_tools_and_logs_lie_where_the_documents_say(own_cache):
    assert cache.binaries() == own_cache / "bin"
    assert cache.log_file("kind-create") == own_cache / "logs" / "kind-create.log"


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("before", [None, "file", "folder"])
def test_a_result_takes_its_place_when_it_is_done(tmp_path, before, kind):
    """It does so whatever was there, and no draft is left."""
    target = tmp_path / "not" / "there" / "one"
    if before:
        with cache.publish(target) as draft:
            write(draft, before, "first")
    with cache.publish(target) as draft:
        write(draft, kind, "second")
        assert not before or read(target, before) == "first"
        assert before or not target.exists()
    assert read(target, kind) == "second"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    """Who uses a tool while its link is made anew must find the one or the other."""
    target, replace, seen = tmp_path / "one", Path.replace, []

    def watched(draft, place):
        seen.append(place.read_text())
        return replace(draft, place)

    target.write_text("old")
    monkeypatch.setattr(Path, "replace", watched)
    with cache.publish(target) as draft:
        draft.write_text("new")
    assert seen == ["old"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failure_leaves_what_was_there_before(tmp_path, kind):
    target = tmp_path / "one"
    with cache.publish(target) as draft:
        write(draft, kind, "good")
    with pytest.raises(KeyboardInterrupt):
        break_off(target, kind)
    assert read(target, kind) == "good"


def test_a_writer_that_made_nothing_is_an_error(tmp_path):
    target = tmp_path / "one"
    target.write_text("good")
    with pytest.raises(ClusterError, match="nothing was made for one"), cache.publish(target):
        pass
    assert target.read_text() == "good"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_writer_left_is_neither_taken_for_done_nor_in_the_way(tmp_path, kind):
    target = tmp_path / "kept" / "one"
    killed = subprocess.run(script(KILLED_WHILE_WRITING, target, kind), cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert left != target
    with cache.publish(target) as draft:
        assert list(target.parent.iterdir()) == []
        write(draft, kind, "whole")
    assert read(target, kind) == "whole"


@pytest.mark.parametrize("what", ["nothing", "file", "folder", "link", "dangling link"])
def test_whatever_it_is_is_removed_and_nothing_behind_a_link(tmp_path, what):
    path, behind = tmp_path / "path", tmp_path / "behind"
    write(behind, "folder", "stays")
    if what in ("file", "folder"):
        write(path, what, "goes")
    elif what != "nothing":
        path.symlink_to(behind if what == "link" else tmp_path / "gone")
    cache.remove(path)
    assert not os.path.lexists(path)
    assert read(behind, "folder") == "stays"


def holder(name, **pipes):
    """A process that takes a lock, says so, and holds it until its input ends."""
    pipes |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(script(LOCK, name), cwd=ROOT, **pipes)


@pytest.mark.parametrize("end", ["finish", "kill"])
def test_a_lock_waits_for_its_holder_and_for_no_dead_one(end):
    with holder("one") as first:
        assert first.stdout.readline() == "in\n"
        with holder("one", stderr=subprocess.PIPE) as second:
            assert "waiting for another process" in second.stderr.readline()
            assert select.select([second.stdout], [], [], QUIET_SECONDS)[0] == []
            if end == "kill":
                first.kill()
            else:
                first.stdin.close()
            assert second.stdout.readline() == "in\n"


def test_locks_of_two_names_do_not_wait_for_each_other(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path / "not" / "there"))
    with holder("one") as first:
        assert first.stdout.readline() == "in\n"
        with cache.lock("two"):
            assert capsys.readouterr().err == ""
        first.stdin.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda file: cache.digest(["ab"], [file]),
        lambda file: cache.digest(["b", "a"], [file]),
        lambda file: cache.digest(["", "ab"], [file]),
        lambda _: cache.digest(["a", "b"]),
        lambda file: cache.digest(["a", "b"], [file.rename(file.with_name("other"))]),
        lambda file: file.chmod(0o755) or cache.digest(["a", "b"], [file]),
        lambda file: file.write_text("other") and cache.digest(["a", "b"], [file]),
    ],
    ids=["text", "order", "split", "file", "name", "mode", "content"],
)
def test_a_digest_changes_with_every_part(tmp_path, change):
    file = tmp_path / "file"
    file.write_text("content")
    before = cache.digest(["a", "b"], [file])
    assert change(file) != before


def test_a_digest_knows_neither_folders_nor_times_nor_the_order_of_files(tmp_path):
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        file.write_text(file.name)
    before = cache.digest([], files)
    os.utime(files[0], (0, 0))
    assert cache.digest([], reversed(files)) == before
    assert len(before) == 16
