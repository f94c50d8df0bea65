"""The rules of every chart, whatever it installs: a new folder in charts/ is held to them too."""

import pytest
import yaml

from tests.charts import support
from tests.charts.support import CHARTS, HelmError, named, of_kind, pods, render

NAMES = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))
SERVER = {"StatefulSet", "Job", "Pod"}
WORKLOADS = {
    "minio": SERVER,
    "operator": {"Deployment", "Pod"},
    "postgres": SERVER,
    "vault": SERVER | {"Deployment"},
}
"""What each chart makes pods by, its test included: one that a rule did not see would pass it."""
HOOKS = {"minio": "minio-bootstrap", "postgres": "postgres-bootstrap", "vault": "vault-setup"}
"""The Job that brings about what the values say, of each chart that has one."""
API_TOKENS = {
    "operator": {"Deployment/operator"},
    "vault": {
        "Deployment/vault-injector",
        "Job/vault-injector-check",
        "Job/vault-setup",
        "StatefulSet/vault",
    },
}
"""Who may ask the API server; nobody else may."""


def everything(chart):
    """Values that switch on whatever the chart has."""
    return yaml.safe_load((CHARTS / chart / "ci/everything-values.yaml").read_text("utf-8"))


@pytest.fixture(scope="module", params=NAMES)
def chart(request):
    return request.param


@pytest.fixture(scope="module", params=["default", "everything"])
def values(request, chart):
    return None if request.param == "default" else everything(chart)


@pytest.fixture(scope="module")
def documents(chart, values):
    return render(chart, values)


def test_there_are_charts():
    """An empty list would pass every rule; a new chart says what it makes pods by."""
    assert sorted(WORKLOADS) == NAMES


def test_pods_are_restricted(chart, documents):
    found = list(pods(documents))
    assert {pod.owner.partition("/")[0] for pod in found} == WORKLOADS[chart]
    assert [shortfall for pod in found for shortfall in support.unrestricted(pod)] == []


def test_only_who_asks_the_api_server_has_a_token_of_it(chart, documents):
    found = {pod.owner for pod in pods(documents) if support.has_api_token(pod)}
    assert found == API_TOKENS.get(chart, set())


def test_no_secret_is_in_an_environment(documents):
    assert [place for pod in pods(documents) for place in support.secrets_in_the_open(pod)] == []


def test_objects_carry_the_common_labels(documents):
    assert support.unlabelled(documents) == []


def test_what_cannot_change_does_not(documents):
    assert support.unstable(documents) == []


def test_helm_lint_is_content(chart, values):
    assert "0 chart(s) failed" in support.lint(chart, values)


def test_readme_lists_each_value_with_its_default(chart):
    wanted = {k: support.written_default(v) for k, v in support.documented_values(chart).items()}
    assert support.readme_values(chart) == wanted


def test_each_value_is_described(chart):
    assert support.undocumented_values(chart) == []


@pytest.mark.parametrize(("chart", "job"), HOOKS.items())
def test_hook_is_one_job_made_anew(chart, job):
    annotations = named(render(chart), "Job", job)["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "post-install,post-upgrade"
    assert "before-hook-creation" in annotations["helm.sh/hook-delete-policy"]


def test_network_policies_can_be_left_out(chart):
    assert of_kind(render(chart), "NetworkPolicy") != []
    found = render(chart, {"networkPolicy": {"enabled": False}})
    assert of_kind(found, "NetworkPolicy") == []


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"persistance": {"size": "1Gi"}}, "persistance"),
        ({"image": {"tga": "1"}}, "/image"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"global": {"anything": 1}, "globl": {}}, "globl"),
        ({"podLabels": {"app.kubernetes.io/name": "x"}}, "app.kubernetes.io/name"),
    ],
)
def test_schema_refuses_what_would_be_passed_over(chart, wrong, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render(chart, wrong)
    assert place in str(refused.value)
