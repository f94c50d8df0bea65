"""The same sources give the same image, whenever and by whomever it is built."""

import hashlib
import os
import secrets
import subprocess

import pytest

from cluster import pins
from cluster.images import OURS
from tests.docs.pages import ROOT
from tests.images.containers import REPOSITORY, Image

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.parametrize(("name", "package"), OURS.items(), ids=OURS.values())
def test_a_build_from_scratch_gives_the_same_files(docker, image, name, package):
    there = dict(contents(image(name)))
    tag = f"{REPOSITORY}/{package}:{secrets.token_hex(4)}"
    try:
        build(docker, package, f"{tag}-build", "--no-cache", "--target=build")
        build(docker, package, tag)
        anew = dict(contents(Image(docker, tag)))
    finally:
        # The first one would stay for good, nameless, once the second one is gone.
        for made in (tag, f"{tag}-build"):
            if docker.has(made):
                docker.call("image", "rm", made)
    differing = [path for path in there.keys() | anew.keys() if there.get(path) != anew.get(path)]
    assert not differing, f"unless `make images` is due: {sorted(differing)}"


def build(docker, package, tag, *options):
    """Build with what a user types, for the repository as it is."""
    python = pins.PYTHON_BUILD_IMAGE
    build_image = python if docker.has(python) else pins.PYTHON_IMAGE
    command = ["docker", "build", "--network=host", "--force-rm", f"--tag={tag}", *options]
    command += [f"--build-arg=BUILD_IMAGE={build_image}", f"--file={package}/Dockerfile", "."]
    env = os.environ | docker.env | {"DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def contents(image):
    """Path, kind, mode and owner of all that is in an image, and what is in each file."""
    for member, content in image.members():
        about = (member.type, member.mode, member.uid, member.gid, member.linkname)
        yield member.name, (*about, hashlib.sha256(content).hexdigest())
