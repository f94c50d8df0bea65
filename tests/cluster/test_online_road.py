"""The online road, with a registry on loopback that holds our images under the published names."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from cluster import debian, engine, pins
from cluster.docker import Docker
from cluster.roads import Choice, Road, registry_answers
from sales_pipeline.demo.ports import LOOPBACK, free_ports
from tests.docs.pages import ROOT

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not shutil.which("docker-registry") and os.geteuid() != 0,
        reason="only root installs docker-registry",
    ),
]
CLUSTER = "minidata-online"
PUBLISHED = (pins.NODE_IMAGE, pins.PYTHON_IMAGE, *pins.THIRD_PARTY_IMAGES)
READY_SECONDS = 30


@contextmanager
def registry(folder):
    """A real image registry with an access log; its address and the log."""
    debian.install({"docker-registry": ("docker-registry",)})
    (port,) = free_ports(1)
    address, log = f"{LOOPBACK}:{port}", folder / "registry.log"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": address},
    }
    (folder / "registry.json").write_text(json.dumps(settings))  # JSON is YAML
    with log.open("w") as out:
        argv = ["docker-registry", "serve", folder / "registry.json"]
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
    try:
        limit = time.monotonic() + READY_SECONDS
        while not registry_answers(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
        yield address, log
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


@pytest.fixture
def docker():
    """The engine that the cluster runs in, with all images that the packages road made."""
    return Docker(engine.ensure())


@pytest.fixture
def mirror(docker, tmp_path):
    """A registry that holds the published images, and no copy of their names in the engine."""
    with registry(tmp_path) as (address, log):
        choice = Choice(Road.ONLINE, address)
        for image in PUBLISHED:
            docker.call("tag", image, choice.source(image))
            docker.call("push", choice.source(image))
            docker.call("rmi", choice.source(image))
        log.write_text("")
        yield address, log


def command(*args, address, build_image):
    """Run the tool as a person would, on a cluster of its own."""
    environment = os.environ | {
        "MINIDATA_REGISTRY": address,
        "MINIDATA_CLUSTER": CLUSTER,
        "MINIDATA_BUILD_IMAGE": build_image,
    }
    argv = [sys.executable, "-m", "cluster", *args]
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_cluster_and_all_images_come_from_a_registry(docker, mirror):
    """The road is chosen because the registry answers; every published image is pulled from it."""
    address, log = mirror
    # What the packages road needs for its builds, this machine needs here as well.
    build_image = pins.PYTHON_BUILD_IMAGE if docker.has(pins.PYTHON_BUILD_IMAGE) else ""
    here = {"address": address, "build_image": build_image}
    try:
        told = command("up", **here)
        assert f"road: online ({address} answers)" in told
        command("images", **here)
    finally:
        command("down", **here)
    for image in PUBLISHED:
        path = Choice(Road.ONLINE, address).source(image).removeprefix(address)
        name, _, tag = path.rpartition(":")
        assert f"/v2{name}/manifests/{tag}" in log.read_text()
    assert "minidata" in docker.call("ps", "--format", "{{.Names}}")
