"""One version each: charts, Dockerfiles and projects name the same as the pins."""

import re
import tomllib

import pytest
import yaml

from cluster import images, pins
from tests.docs import pages


def values(chart):
    return yaml.safe_load(pages.text(f"charts/{chart}/values.yaml"))


def chart_image(chart):
    image = values(chart)["image"]
    tag = image["tag"] or yaml.safe_load(pages.text(f"charts/{chart}/Chart.yaml"))["appVersion"]
    return f"{image['registry']}/{image['repository']}:{tag}"


@pytest.mark.parametrize(
    ("chart", "pin"), [("minio", pins.MINIO_IMAGE), ("postgres", pins.POSTGRES_IMAGE)]
)
def test_a_chart_installs_the_image_that_is_loaded(chart, pin):
    assert chart_image(chart) == pin
    assert pin in pins.THIRD_PARTY_IMAGES


def test_migrations_run_in_the_pipelines_image():
    image = values("postgres")["bootstrap"]["image"]
    assert f"{image['repository']}:{image['tag']}" == pins.PIPELINE_IMAGE


@pytest.mark.parametrize("path", ["pyproject.toml", "operator/pyproject.toml"])
def test_images_carry_the_projects_version(path):
    assert tomllib.loads(pages.text(path))["project"]["version"] == pins.VERSION


@pytest.mark.parametrize("package", images.OURS.values())
def test_images_are_built_with_the_uv_that_everybody_uses(package):
    (ours,) = re.findall(r"^UV_VERSION \?= (\S+)$", pages.text("Makefile"), re.MULTILINE)
    (built,) = re.findall(
        r"^ARG UV_VERSION=(\S+)$", pages.text(f"{package}/Dockerfile"), re.MULTILINE
    )
    assert built == ours


def test_a_build_names_its_programs():
    assert pins.KUBEADM.programs == {"kubeadm": "k8s.io/kubernetes/cmd/kubeadm"}
    assert pins.KUBE.programs["kubelet"] == "k8s.io/kubernetes/cmd/kubelet"
    assert {tool.name for tool in pins.HOST_TOOLS} == {"kind", "kubectl", "helm", "mc"}
