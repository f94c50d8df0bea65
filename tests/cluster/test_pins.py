"""One version each: charts, Dockerfiles, projects and pages name the same as the pins."""

import re
import tomllib
from collections import Counter

import pytest
import yaml

from cluster import images, pins
from tests.charts.support import UMBRELLA
from tests.docs import pages

MEMBERS = ("pyproject.toml", *(f"{member}/pyproject.toml" for member in images.WORKSPACE))
DOCKERFILES = [f"{package}/Dockerfile" for package in images.OURS.values()]
CHARTS = sorted({file.parent.name for file in pages.ROOT.glob("charts/*/Chart.yaml")} - {UMBRELLA})
"""The umbrella names no image itself."""
TOOLS = (*pins.HOST_TOOLS, pins.MINIO_SERVER, pins.FAKE_NODES, pins.CHART_TESTER)
BUILDS = (TOOLS, pins.NODE_PROGRAMS)
LOADED = {*images.OURS, *pins.THIRD_PARTY_IMAGES}


def the_one(pattern, path):
    """What a pattern finds in a file, once."""
    (found,) = re.findall(pattern, pages.text(path), re.MULTILINE)
    return found


# --- charts ---------------------------------------------------------------------------------------


def images_in(values):
    """Every image that a chart's values describe, wherever they do."""
    for key, value in values.items():
        if key == "image":
            yield value
        elif isinstance(value, dict):
            yield from images_in(value)


def images_of(chart):
    """The names of a chart's images, by default; a tag left out is the chart's appVersion."""
    version = yaml.safe_load(pages.text(f"charts/{chart}/Chart.yaml"))["appVersion"]
    for image in images_in(yaml.safe_load(pages.text(f"charts/{chart}/values.yaml"))):
        host = f"{image['registry']}/" if image["registry"] else ""
        yield f"{host}{image['repository']}:{image['tag'] or version}"


@pytest.mark.parametrize(
    ("chart", "wanted"),
    [
        ("minio", [pins.MINIO_IMAGE, pins.VAULT_IMAGE]),
        ("postgres", [pins.POSTGRES_IMAGE, pins.VAULT_IMAGE, pins.PIPELINE_IMAGE]),
        ("vault", [pins.VAULT_IMAGE, pins.SETUP_IMAGE, pins.INJECTOR_IMAGE]),
    ],
)
def test_a_chart_installs_the_pinned_images(chart, wanted):
    assert list(images_of(chart)) == wanted


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_installs_only_what_is_loaded_into_the_cluster(chart):
    found = set(images_of(chart))
    assert found
    assert found <= LOADED | {pins.INJECTOR_IMAGE}


# --- our own version ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MEMBERS)
def test_images_carry_the_projects_version(path):
    assert tomllib.loads(pages.text(path))["project"]["version"] == pins.VERSION


@pytest.mark.parametrize("path", DOCKERFILES)
def test_a_dockerfile_says_the_same_without_arguments(path):
    assert the_one(r"^ARG VERSION=(.*)$", path) == pins.VERSION
    assert the_one(r"^ARG BASE_IMAGE=(.*)$", path) == pins.PYTHON_IMAGE


@pytest.mark.parametrize(("image", "package"), images.OURS.items())
def test_a_dockerfile_tells_how_it_is_built(image, package):
    path = f"{package}/Dockerfile"
    assert the_one(r"^#   docker build --file (.*) \.$", path) == f"{path} --tag {image}"


# --- tools ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCKERFILES)
def test_images_are_built_with_the_uv_that_everybody_uses(path):
    ours = the_one(r"^UV_VERSION \?= (\S+)$", "Makefile")
    assert the_one(r"^ARG UV_VERSION=(\S+)$", path) == ours


@pytest.mark.parametrize(
    ("build", "programs"),
    [
        (pins.HOST_TOOLS[0], {"kind": "sigs.k8s.io/kind"}),
        (pins.KUBEADM, {"kubeadm": "k8s.io/kubernetes/cmd/kubeadm"}),
        (
            pins.GoBuild("some", "example.org/some", "v1", ("cmd/one", "cmd/two")),
            {"one": "example.org/some/cmd/one", "two": "example.org/some/cmd/two"},
        ),
    ],
    ids=["the module itself", "one", "several"],
)
def test_a_build_names_its_programs(build, programs):
    assert build.programs == programs


def test_all_that_is_needed_is_built():
    tools, node = ({name for build in builds for name in build.programs} for builds in BUILDS)
    assert tools == {"kind", "kubectl", "helm", "mc", "minio", "kwok", "helm-unittest"}
    assert {"kubeadm", "kubelet", "kube-apiserver", "kube-proxy", "etcd", "coredns"} <= node


@pytest.mark.parametrize("builds", BUILDS, ids=["on this machine", "in a node"])
def test_no_program_takes_the_place_of_another(builds):
    names = Counter(name for build in builds for name in build.programs)
    assert set(names.values()) == {1}


@pytest.mark.parametrize(
    "build", [one for builds in BUILDS for one in builds], ids=lambda one: one.name
)
def test_every_build_is_proved_by_what_it_shows(build):
    assert build.shows
    assert build.proof


def test_all_that_is_of_kubernetes_has_its_version():
    built = [one for builds in BUILDS for one in builds if "kubernetes" in one.module]
    assert {pins.KUBECTL, pins.KUBE, pins.KUBEADM} == set(built)
    assert {(one.version, one.shows) for one in built} == {(pins.KUBERNETES, pins.KUBERNETES)}
    assert pins.NODE_IMAGE.endswith(f":{pins.KUBERNETES}")
