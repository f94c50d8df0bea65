"""Images: what one is made of, told by one digest; and the commands that make it."""

import os
import shutil
from pathlib import Path

import pytest

from cluster import cache
from cluster.docker import LABEL, Build, Docker, files_below, lay
from cluster.engine import Engine
from cluster.shell import ClusterError

DOCKER = Docker(Engine({"DOCKER_HOST": "unix:///ours"}, owned=True))
NO_SUCH_IMAGE = ("image inspect", "No such image", 1)
KEEP_CONTEXT = """
case "$1" in build)
  for context; do :; done
  cp -r "$context" "$HERE/context"
  echo "$DOCKER_BUILDKIT" >"$HERE/buildkit" ;;
esac
exit $(cat "$HERE/code-$1" 2>/dev/null || echo 0)
"""
"""Stands in for docker: keeps what it is given to build."""


@pytest.fixture
def sources(tmp_path):
    """A Dockerfile, a file, and a folder with code in it."""
    folder = tmp_path / "clone"
    (folder / "code" / "deep").mkdir(parents=True)
    (folder / "code" / "deep" / "one.py").write_text("1")
    (folder / "lock").write_text("locked")
    (folder / "Dockerfile").write_text("FROM scratch")
    return folder


def build_of(sources, **changes):
    whole = {
        "image": "a/b:1",
        "dockerfile": sources / "Dockerfile",
        "context": {"src": sources / "code", "lock": sources / "lock"},
        "args": {"BASE": "b", "VERSION": "1"},
        "bases": ("base",),
    }
    return Build(**(whole | changes))


def recipe(sources, **changes):
    return build_of(sources, **changes).recipe


@pytest.mark.parametrize(
    "change",
    [
        {"image": "a/b:2"},
        {"args": {"BASE": "c", "VERSION": "1"}},
        {"args": {"BASE": "b"}},
        {"args": {"BASE": "1", "VERSION": "b"}},
        {"bases": ("other",)},
        {"bases": ()},
    ],
    ids=str,
)
def test_a_recipe_changes_with_every_word(sources, change):
    assert recipe(sources, **change) != recipe(sources)


def test_a_recipe_changes_with_the_place_in_the_context(sources):
    context = {"source": sources / "code", "lock": sources / "lock"}
    assert recipe(sources, context=context) != recipe(sources)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "Dockerfile").write_text("FROM other"),
        lambda folder: (folder / "lock").write_text("other"),
        lambda folder: (folder / "lock").chmod(0o755),
        lambda folder: (folder / "code/deep/one.py").write_text("2"),
        lambda folder: (folder / "code/deep/one.py").rename(folder / "code/deep/two.py"),
        lambda folder: (folder / "code/deep/one.py").rename(folder / "code/one.py"),
        lambda folder: (folder / "code/deep/one.py").unlink(),
        lambda folder: (folder / "code/deep/two.py").touch(),
    ],
    ids=["Dockerfile", "file", "mode", "content", "name", "folder", "gone", "new"],
)
def test_a_recipe_changes_with_every_file(sources, change):
    before = recipe(sources)
    change(sources)
    assert recipe(sources) != before


def test_a_recipe_knows_neither_times_nor_order_nor_what_python_leaves_behind(sources):
    before = recipe(sources)
    os.utime(sources / "code" / "deep" / "one.py", (0, 0))
    (sources / "code" / "__pycache__").mkdir()
    (sources / "code" / "__pycache__" / "one.pyc").write_text("compiled")
    build = build_of(sources)
    context = dict(reversed(build.context.items()))
    args = dict(reversed(build.args.items()))
    assert recipe(sources, context=context, args=args) == before
    assert [path.name for path in files_below(sources / "code")] == ["one.py"]


def test_another_clone_has_the_same_recipe(sources, tmp_path):
    other = shutil.copytree(sources, tmp_path / "another" / "clone")
    assert recipe(other) == recipe(sources)


def test_what_lies_in_the_cache_counts_by_its_name(sources, own_cache):
    """It is named by its own recipe; hashing hundreds of megabytes again would tell nothing."""
    program = own_cache / "programs" / "minio-1" / "minio"
    program.parent.mkdir(parents=True)
    program.write_text("one")
    before = recipe(sources, context={"minio": program})
    program.write_text("two")
    assert recipe(sources, context={"minio": program}) == before
    other = program.parent.rename(own_cache / "programs" / "minio-2") / "minio"
    assert recipe(sources, context={"minio": other}) != before


def no_links(*_):
    raise OSError(18, "Invalid cross-device link")


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "copied"])
def test_a_context_is_laid_out_file_by_file(sources, tmp_path, monkeypatch, linked):
    if not linked:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    one = sources / "code" / "deep" / "one.py"
    one.chmod(0o755)
    (sources / "code" / "run").symlink_to("deep/one.py")
    (sources / "code" / "__pycache__").mkdir()
    (sources / "code" / "__pycache__" / "one.pyc").write_text("compiled")
    target = tmp_path / "context" / "src"
    lay(sources / "code", target)
    assert {str(path.relative_to(target)) for path in files_below(target)} == {"deep/one.py", "run"}
    for path in files_below(target):
        assert path.read_text() == "1"
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o777 == 0o755
        assert path.samefile(one) is linked


@pytest.fixture
def builder(programs, own_cache):
    """A docker that keeps what it is given to build; it has no BuildKit."""
    programs.script("docker", KEEP_CONTEXT)
    (programs.folder / "code-buildx").write_text("1")
    return programs


def test_an_image_is_built_of_nothing_but_its_context(builder, sources, own_cache):
    rubbish = own_cache / "contexts" / "a_b_1" / "left-behind"
    rubbish.parent.mkdir(parents=True)
    rubbish.touch()
    build = build_of(sources)
    DOCKER.build(build)
    context = builder.folder / "context"
    found = {str(path.relative_to(context)): path.read_text() for path in files_below(context)}
    assert found == {"src/deep/one.py": "1", "lock": "locked"}
    (called,) = builder.calls("docker build ")
    assert called.split()[2:-1] == [
        "--network=host",
        "--force-rm",
        "--tag=a/b:1",
        f"--label={LABEL}={build.recipe}",
        f"--file={sources}/Dockerfile",
        "--build-arg=BASE=b",
        "--build-arg=VERSION=1",
    ]
    assert list((own_cache / "contexts").iterdir()) == []
    assert builder.calls("docker image prune") == [
        f"docker image prune --force --filter label={LABEL}"
    ]


@pytest.mark.parametrize(("code", "wanted"), [(0, ""), (1, "0")], ids=["there", "missing"])
def test_the_old_builder_is_used_where_buildkit_is_missing(builder, sources, code, wanted):
    (builder.folder / "code-buildx").write_text(str(code))
    DOCKER.build(build_of(sources))
    assert (builder.folder / "buildkit").read_text() == f"{wanted}\n"
    assert builder.calls("docker buildx") == ["docker buildx version"]


def test_a_failed_build_names_its_log(builder, sources):
    (builder.folder / "code-build").write_text("1")
    with pytest.raises(ClusterError, match="exit code 1") as caught:
        DOCKER.build(build_of(sources))
    assert caught.value.where == str(cache.log_file("build-a_b:1"))


def test_a_root_file_system_becomes_an_image_with_its_recipe(programs, tmp_path):
    programs.add("docker")
    DOCKER.import_root("a:1", tmp_path / "root.tar", "cafe", ['CMD ["sh"]'])
    assert programs.calls() == [
        f'docker import --change=LABEL {LABEL}=cafe --change=CMD ["sh"] {tmp_path}/root.tar a:1'
    ]


@pytest.mark.parametrize(
    ("answers", "want"),
    [([("--format", "cafe\n", 0)], "cafe"), ([("--format", "\n", 0)], ""), ([NO_SUCH_IMAGE], "")],
    ids=["ours", "made elsewhere", "none"],
)
def test_an_image_tells_its_recipe(programs, answers, want):
    programs.add("docker", *answers)
    assert DOCKER.recipe("a:1") == want
    form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
    asked = ["docker image inspect a:1", f"docker image inspect --format {form} a:1"]
    assert programs.calls() == asked[: len(programs.calls())]


def test_an_image_tells_its_id(programs):
    programs.add("docker", ("^image inspect --format {{.Id}} a:1$", "sha256:1\n", 0))
    assert DOCKER.identity("a:1") == "sha256:1"


def test_every_command_goes_to_the_engine(builder, sources, tmp_path):
    DOCKER.call("ps")
    DOCKER.recipe("a:1")
    DOCKER.identity("a:1")
    DOCKER.build(build_of(sources))
    DOCKER.import_root("a:1", tmp_path / "root.tar", "cafe")
    DOCKER.pipe("save", "a:1", into=["exec", "node"])
    assert builder.engines() == {"unix:///ours"}


def test_the_id_of_an_image_that_is_missing_is_an_error(programs):
    programs.add("docker", NO_SUCH_IMAGE)
    with pytest.raises(ClusterError, match="No such image"):
        DOCKER.identity("a:1")
    assert not DOCKER.has("a:1")


def test_one_command_feeds_another(programs):
    programs.script("docker", 'case $1 in save) echo "$2" ;; *) cat >"$HERE/sunk" ;; esac')
    DOCKER.pipe("save", "a:1", into=["exec", "node"])
    assert (programs.folder / "sunk").read_text() == "a:1\n"
    assert sorted(programs.calls()) == ["docker exec node", "docker save a:1"]


@pytest.mark.parametrize(
    ("source", "sink", "told"),
    [
        ("echo half; exit 1", "cat", ""),
        ("echo image", "cat; echo 'disk full' >&2; exit 1", "disk full"),
        ("exec yes 2>/dev/null", "exit 1", ""),
    ],
    ids=["source", "sink", "sink early"],
)
def test_of_two_commands_neither_may_fail(programs, source, sink, told):
    programs.script("docker", f"case $1 in save) {source} ;; *) {sink} ;; esac")
    with pytest.raises(ClusterError) as caught:
        DOCKER.pipe("save", "a:1", into=["exec", "node"])
    assert str(caught.value) == f"docker save into docker exec failed: {told}"
