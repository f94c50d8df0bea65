"""Images: their names, what is pulled, and what a node lacks."""

import pytest

from cluster import gobuild, images, pins
from cluster.docker import Docker
from cluster.engine import Engine
from cluster.roads import Choice, Road

DOCKER = Docker(Engine({}, owned=False))


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("minidata/sales-pipeline:1", "docker.io/minidata/sales-pipeline:1"),
        ("docker.io/library/postgres:18", "docker.io/library/postgres:18"),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
        ("localhost:5000/a:1", "localhost:5000/a:1"),
    ],
)
def test_a_node_knows_an_image_by_its_full_name(image, want):
    assert images.full_name(image) == want


def test_an_image_is_made_of_its_own_package_and_the_contract_alone(own_cache):
    """Another package's change shall not build it again."""
    build = images.ours(pins.OPERATOR_IMAGE, "operator", "base:1", "recipe")
    folders = {name for name in build.context if name.endswith("/src")}
    assert folders == {"api/src", "operator/src"}
    assert build.args["BUILD_IMAGE"] == "base:1"
    other = images.ours(pins.OPERATOR_IMAGE, "operator", "base:1", "other recipe")
    assert build.recipe != other.recipe


def test_a_published_image_that_is_there_is_not_pulled_again(programs):
    programs.add("docker")
    images.pull(DOCKER, Choice(Road.ONLINE, "mirror:5000"), ("a/b:1",))
    assert programs.calls("docker pull") == []


@pytest.mark.parametrize(
    "answers",
    [[("image inspect", "", 1)], [("--format", "recipe-of-ours", 0)]],
    ids=["missing", "a stand-in of ours"],
)
def test_a_published_image_is_pulled_from_the_mirror_and_named(programs, answers):
    programs.add("docker", *answers)
    images.pull(DOCKER, Choice(Road.ONLINE, "mirror:5000"), ("a/b:1",))
    assert programs.calls("docker pull") == ["docker pull mirror:5000/a/b:1"]
    assert programs.calls("docker tag") == ["docker tag mirror:5000/a/b:1 a/b:1"]


LISTING = """REF TYPE DIGEST SIZE PLATFORMS LABELS
docker.io/a/new:1 application/x sha256:1 1 MiB linux/amd64 io.minidata.image=sha256:aa
docker.io/a/old:1 application/x sha256:2 1 MiB linux/amd64 io.cri=x,io.minidata.image=sha256:00
docker.io/a/bare:1 application/x sha256:3 1 MiB linux/amd64 -
"""


def test_only_what_a_node_lacks_is_loaded(programs, own_cache):
    kind = programs.add("kind", ("get nodes", "one\n", 0))
    for build in pins.HOST_TOOLS:  # as if they were built
        gobuild.folder_of(build).mkdir(parents=True)
        (gobuild.folder_of(build) / build.name).symlink_to(kind)
    programs.add(
        "docker", ("images list", LISTING, 0), ("inspect --format {{.Id}}", "sha256:aa", 0)
    )
    images.load(DOCKER, "minidata", ("a/new:1", "a/old:1", "a/bare:1"))
    (saved,) = programs.calls("docker save")
    assert saved == "docker save docker.io/a/old:1 docker.io/a/bare:1"
    labels = [call for call in programs.calls() if " images label " in call]
    assert [call.split(" label ")[1] for call in labels] == [
        "docker.io/a/old:1 io.minidata.image=sha256:aa",
        "docker.io/a/bare:1 io.minidata.image=sha256:aa",
    ]
