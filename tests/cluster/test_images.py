"""Images: their names, what is pulled or built, and what a node lacks."""

import re

import pytest

from cluster import gobuild, images, pins, stand_ins
from cluster.docker import Docker
from cluster.engine import Engine
from cluster.roads import Choice, Road
from cluster.shell import ClusterError
from tests.docs.pages import ROOT

DOCKER = Docker(Engine({"DOCKER_HOST": "unix:///ours"}, owned=True))
COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)
MIRROR = Choice(Road.ONLINE, "mirror:5000")
NODES = """
case $* in
*" images list")
  echo REF TYPE DIGEST SIZE PLATFORMS LABELS
  echo docker.io/library/pause:1 application/x sha256:1 1 MiB linux/amd64 io.cri-pinned=pinned
  echo docker.io/library/bare:1 application/x sha256:2 1 MiB linux/amd64 -
  cat "$HERE/node-$2" 2>/dev/null || true ;;
*" images label "*)
  echo "$8 application/x sha256:3 1 MiB linux/amd64 io.cri=managed,$9,z=1" >>"$HERE/node-$3" ;;
*{{.Id}}*) cat "$HERE/id-${5%:*}" ;;
esac
"""
"""Stands in for docker, and for containerd in the nodes behind it."""


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("minidata/sales-pipeline:1", "docker.io/minidata/sales-pipeline:1"),
        ("minidata/sales-pipeline:0.1.0", "docker.io/minidata/sales-pipeline:0.1.0"),
        ("docker.io/library/postgres:18", "docker.io/library/postgres:18"),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
        ("registry:5000/a:1", "registry:5000/a:1"),
        ("localhost/a:1", "localhost/a:1"),
    ],
)
def test_a_node_knows_an_image_by_its_full_name(image, want):
    assert images.full_name(image) == want


# --- ours -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("image", "package"), images.OURS.items())
def test_an_image_is_made_of_its_own_package_and_the_contract_alone(own_cache, image, package):
    """Another package's change shall not build it again."""
    build = images.ours(image, package, "base:1", "below")
    copied = {path for line in COPY.findall(build.dockerfile.read_text()) for path in line.split()}
    assert build.dockerfile == ROOT / package / "Dockerfile"
    assert build.context == {path: ROOT / path for path in copied}
    sources = {path for path in copied if path.endswith("/src")}
    assert {f"{package}/src"} <= sources <= {"api/src", f"{package}/src"}
    assert build.args == {
        "BASE_IMAGE": pins.PYTHON_IMAGE,
        "BUILD_IMAGE": "base:1",
        "VERSION": pins.VERSION,
    }
    assert build.recipe != images.ours(image, package, "base:1", "other below").recipe


@pytest.fixture
def built(own_cache, monkeypatch):
    """What was built, if stand-ins are there; images are known by `id of NAME`."""
    made = []
    monkeypatch.setattr(stand_ins, "ensure", lambda _, build: made.append(build))
    monkeypatch.setattr(stand_ins, "ensure_python", lambda _: "recipe of python")
    monkeypatch.setattr(stand_ins, "ensure_third_party", lambda _: made.append("third party"))
    monkeypatch.setattr(Docker, "identity", lambda _, image: f"id of {image}")
    return made


@pytest.mark.parametrize(
    ("named", "wanted"), [("", pins.PYTHON_IMAGE), ("trusting/python:1", "trusting/python:1")]
)
def test_online_the_bases_are_pulled_and_ours_are_built(
    built, programs, monkeypatch, named, wanted
):
    programs.add("docker", ("image inspect", "", 1))
    monkeypatch.setenv("MINIDATA_BUILD_IMAGE", named)
    names = images.ensure(DOCKER, MIRROR)
    published = (pins.PYTHON_IMAGE, *pins.THIRD_PARTY_IMAGES)
    pulled = [call.split()[-1] for call in programs.calls("docker pull")]
    assert pulled == [MIRROR.source(image) for image in published]
    assert [build.image for build in built] == list(images.OURS)
    for build in built:
        assert build.args["BUILD_IMAGE"] == wanted
        assert build.bases == (f"id of {wanted}",)
    assert names == (*images.OURS, *pins.THIRD_PARTY_IMAGES)


def test_an_image_that_the_other_road_built_is_not_built_again(built, programs, monkeypatch):
    """Where the build image is made here, it counts by its recipe on either road."""
    programs.add("docker", (f"Labels.* {pins.PYTHON_BUILD_IMAGE}$", "recipe of python\n", 0))
    monkeypatch.setenv("MINIDATA_BUILD_IMAGE", pins.PYTHON_BUILD_IMAGE)
    images.ensure(DOCKER, MIRROR)
    images.ensure(DOCKER, Choice(Road.PACKAGES))
    recipes = [build.recipe for build in built if build != "third party"]
    assert recipes[: len(images.OURS)] == recipes[len(images.OURS) :]


def test_on_the_packages_road_nothing_is_pulled(built, programs):
    programs.add("docker", ("", "no registry", 1))
    names = images.ensure(DOCKER, Choice(Road.PACKAGES))
    assert programs.calls() == []
    others, *ours = built
    assert others == "third party"
    assert [build.image for build in ours] == list(images.OURS)
    assert {build.args["BUILD_IMAGE"] for build in ours} == {pins.PYTHON_BUILD_IMAGE}
    assert {build.bases for build in ours} == {("recipe of python",)}
    assert names == (*images.OURS, *pins.THIRD_PARTY_IMAGES)


@pytest.mark.parametrize(("known", "builds"), [("{recipe}", 0), ("other", 1), ("", 1)])
def test_an_image_is_built_unless_its_recipe_is_the_same(own_cache, programs, known, builds):
    build = images.ours(pins.OPERATOR_IMAGE, "operator", "base:1", "below")
    programs.add("docker", ("Labels", known.format(recipe=build.recipe), 0))
    stand_ins.ensure(DOCKER, build)
    assert len(programs.calls("docker build ")) == builds


def test_every_image_of_others_has_a_stand_in(own_cache, monkeypatch):
    made = []
    monkeypatch.setattr(stand_ins, "ensure", lambda _, build: made.append(build.image))
    monkeypatch.setattr(stand_ins, "ensure_debian", lambda _: "recipe")
    monkeypatch.setattr(stand_ins, "ensure_python", lambda _: "recipe")
    monkeypatch.setattr(gobuild, "ensure", lambda _: {})
    stand_ins.ensure_third_party(DOCKER)
    assert made == list(pins.THIRD_PARTY_IMAGES)


# --- pulling --------------------------------------------------------------------------------------


def test_a_published_image_that_is_there_is_not_pulled_again(programs):
    programs.add("docker")
    images.pull(DOCKER, MIRROR, ("a/b:1",))
    assert programs.calls("docker pull") == []


@pytest.mark.parametrize(
    "answers",
    [[("image inspect", "", 1)], [("--format", "recipe-of-ours", 0)]],
    ids=["missing", "a stand-in of ours"],
)
def test_a_published_image_is_pulled_from_the_mirror_and_named(programs, answers):
    programs.add("docker", *answers)
    images.pull(DOCKER, MIRROR, ("a/b:1",))
    changes = [call for call in programs.calls() if "inspect" not in call]
    assert changes == ["docker pull mirror:5000/a/b:1", "docker tag mirror:5000/a/b:1 a/b:1"]


# --- loading --------------------------------------------------------------------------------------


@pytest.fixture
def nodes(programs, own_cache, monkeypatch):
    """Two nodes that hold none of our images yet; sets the engine's id of an image."""
    kind = programs.add("kind", ("^get nodes --name minidata$", "one\ntwo\n", 0))
    monkeypatch.setattr(gobuild, "ensure_tools", lambda: {"kind": kind})
    programs.script("docker", NODES)

    def give(name, identity):
        (programs.folder / f"id-{name}").write_text(f"{identity}\n")

    for name in ("first", "second", "bare"):
        give(name, f"sha256:{name}")
    return give


def load():
    images.load(DOCKER, "minidata", ("first:1", "second:1", "bare:1"))


def saved(programs):
    """What was loaded, call by call, by short names."""
    calls = [call.removeprefix("docker save ") for call in programs.calls("docker save ")]
    return [call.replace("docker.io/library/", "").replace(":1", "").split() for call in calls]


def test_only_what_a_node_lacks_is_loaded(nodes, programs):
    load()
    assert saved(programs) == [["first", "second", "bare"]] * 2
    load()
    assert len(saved(programs)) == 2
    nodes("second", "sha256:other")
    load()
    assert saved(programs)[2:] == [["second"]] * 2
    load()
    assert len(saved(programs)) == 4


def test_containerd_is_given_what_the_engine_saved(nodes, programs):
    load()
    ctr = "ctr --namespace=k8s.io images"
    assert programs.calls("docker exec one") == [f"docker exec one {ctr} list"]
    given = [call for call in programs.calls("docker exec") if " import " in call]
    assert given == [
        f"docker exec --interactive {node} {ctr} import --all-platforms --digests -"
        for node in ("one", "two")
    ]
    assert programs.engines() == {"unix:///ours"}


def test_a_node_that_came_later_gets_what_the_others_have(nodes, programs):
    load()
    (programs.folder / "node-two").unlink()
    load()
    assert len(saved(programs)) == 3
    *_, last = [call for call in programs.calls("docker exec") if " import " in call]
    assert " two ctr " in last


def test_an_image_that_was_not_built_is_not_loaded(nodes, programs):
    (programs.folder / "id-second").unlink()
    with pytest.raises(ClusterError, match=r"id-second"):
        load()
    assert saved(programs) == []
