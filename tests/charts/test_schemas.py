"""Whatever is rendered is valid by Kubernetes' own schemas, strictly: there is no unknown field.

An API server passes over a field that is misspelled, and then does not do what it asked for.
"""

import copy
import json
from functools import cache

import kubernetes_validate
import pytest

from tests.charts.platform_chart import runs
from tests.charts.support import CHARTS, KUBE_VERSION, named, render, value_sets

VALUES = [
    (chart, name)
    for chart in sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))
    for name in value_sets(chart)
]
CUSTOM = {"Certificate", "PrometheusRule", "ServiceMonitor"}
"""Kinds of others, whose schemas come with cert-manager and the Prometheus Operator."""


def problem(document):
    """What is wrong with an object, and where; nothing: it is valid."""
    return _problem(json.dumps(document, sort_keys=True))


@cache
def _problem(text):
    """Of many sets of values most objects are the same."""
    try:
        kubernetes_validate.validate(json.loads(text), KUBE_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
    return ""


def problems(documents):
    found = {f"{d['kind']}/{d['metadata']['name']}": problem(d) for d in documents}
    return {name: what for name, what in found.items() if what}


@cache
def rendered(chart, name):
    return render(chart, value_sets(chart)[name])


@pytest.mark.parametrize(("chart", "name"), VALUES, ids=map(" ".join, VALUES))
def test_objects_are_valid(chart, name):
    assert problems([d for d in rendered(chart, name) if d["kind"] not in CUSTOM]) == {}


@pytest.mark.parametrize("name", value_sets("operator"))
def test_objects_that_the_operator_makes_are_valid(name):
    made = runs(rendered("operator", name))
    assert {d["kind"] for d in made} == {"Job", "CronJob"}
    assert problems(made) == {}


def test_nothing_is_passed_over_that_has_a_schema():
    found = {d["kind"]: d for chart, name in VALUES for d in rendered(chart, name)}
    for kind in CUSTOM:
        with pytest.raises(kubernetes_validate.SchemaNotFoundError):
            problem(found[kind])


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ((), "sepc", {}),
        (("spec",), "replica", 2),
        (("spec",), "replicas", "2"),
        (("spec", "template", "spec"), "securityContexts", {}),
        (("spec", "template", "spec", "containers", 0), "readinesProbe", {}),
        (("spec", "template", "spec", "volumes", 0), "emptydir", {}),
    ],
)
def test_a_mistake_is_found(place, field, value):
    deployment = copy.deepcopy(named(render("operator"), "Deployment", "operator"))
    assert problem(deployment) == ""
    spoiled = deployment
    for step in place:
        spoiled = spoiled[step]
    spoiled[field] = value
    assert field in problem(deployment)
