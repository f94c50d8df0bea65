"""Recipes: what an image is made of, told by one digest."""

import os

import pytest

from cluster.docker import Build, files_below, lay


@pytest.fixture
def sources(tmp_path):
    """A Dockerfile and a folder with code in it."""
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "deep" / "one.py").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    return tmp_path


def recipe(sources, **changes):
    whole = {
        "image": "a:1",
        "dockerfile": sources / "Dockerfile",
        "context": {"src": sources / "code"},
        "args": {"BASE": "b"},
        "bases": ("base",),
    }
    return Build(**(whole | changes)).recipe


def test_a_recipe_changes_with_every_input(sources):
    found = [
        recipe(sources),
        recipe(sources, image="a:2"),
        recipe(sources, args={"BASE": "c"}),
        recipe(sources, bases=("other",)),
        recipe(sources, context={"elsewhere": sources / "code"}),
    ]
    (sources / "code" / "deep" / "one.py").write_text("2")
    found.append(recipe(sources))
    (sources / "code" / "deep" / "one.py").rename(sources / "code" / "one.py")
    found.append(recipe(sources))
    (sources / "Dockerfile").write_text("FROM other")
    found.append(recipe(sources))
    assert len(set(found)) == len(found) == 8


def test_a_recipe_stays_with_times_and_what_python_leaves_behind(sources):
    before = recipe(sources)
    os.utime(sources / "Dockerfile", (0, 0))
    (sources / "code" / "__pycache__").mkdir()
    (sources / "code" / "__pycache__" / "one.pyc").write_text("compiled")
    assert recipe(sources) == before
    assert [path.name for path in files_below(sources / "code")] == ["one.py"]


def test_what_lies_in_the_cache_counts_by_its_name(sources, monkeypatch):
    """It is named by its own recipe; hashing hundreds of megabytes again would tell nothing."""
    monkeypatch.setenv("MINIDATA_CACHE", str(sources / "cache"))
    program = sources / "cache" / "programs" / "minio-1" / "minio"
    program.parent.mkdir(parents=True)
    program.write_text("one")
    before = recipe(sources, context={"minio": program})
    program.write_text("two")
    assert recipe(sources, context={"minio": program}) == before
    other = program.parent.rename(sources / "cache" / "programs" / "minio-2") / "minio"
    assert recipe(sources, context={"minio": other}) != before


def test_a_context_is_laid_out_file_by_file(sources, tmp_path):
    (sources / "code" / "run").symlink_to("deep/one.py")
    lay(sources / "code", tmp_path / "context" / "src")
    assert (tmp_path / "context" / "src" / "deep" / "one.py").read_text() == "1"
    copied = tmp_path / "context" / "src" / "run"
    assert copied.read_text() == "1"
    assert not copied.is_symlink()
