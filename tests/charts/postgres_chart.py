"""The documents of `charts/postgres`, and how its tests find their way in them."""

import yaml

from tests.charts.support import CHARTS, named, pods

CHART = CHARTS / "postgres"
EVERYTHING = yaml.safe_load((CHART / "ci/everything-values.yaml").read_text("utf-8"))
LOADER = {"existingSecret": "x", "memberOf": ["etl_loader"]}
"""A login of the values."""


def container_of(documents, name):
    """The one container of this name, of whatever pod."""
    (found,) = (c for pod in pods(documents) for c in pod.containers if c["name"] == name)
    return found


def config_of(documents, name="postgres-server"):
    """The files of a ConfigMap."""
    return named(documents, "ConfigMap", name)["data"]
