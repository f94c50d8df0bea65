"""The rules of every chart, whatever it installs: a new folder in charts/ is held to them too."""

import pytest

from tests.charts import support
from tests.charts.support import CHARTS, UMBRELLA, HelmError, named, of_kind, pods, render

NAMES = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))
PARTS = [name for name in NAMES if name != UMBRELLA]
"""The charts that are made of nothing else."""
VALUES = [(chart, name) for chart in NAMES for name in support.value_sets(chart)]
SERVER = {"StatefulSet", "Job", "Pod"}
WORKLOADS = {
    "minio": SERVER,
    "operator": {"Deployment", "Pod"},
    "platform": SERVER | {"Deployment"},
    "platform external": {"Deployment", "Pod"},
    "postgres": SERVER,
    "vault": SERVER | {"Deployment"},
}
"""What each chart makes pods by, its test included: one that a rule did not see would pass it."""
HOOKS = {"minio": "minio-bootstrap", "postgres": "postgres-bootstrap", "vault": "vault-setup"}
"""The Job that brings about what the values say, of each chart that has one."""
API_TOKENS = {
    "Deployment/operator",
    "Deployment/vault-injector",
    "Job/vault-injector-check",
    "Job/vault-setup",
    "StatefulSet/vault",
}
"""Who may ask the API server; nobody else may."""


@pytest.fixture(scope="module", params=NAMES)
def chart(request):
    return request.param


@pytest.fixture(scope="module", params=VALUES, ids=" ".join)
def values_of(request):
    """A chart, and the name of values."""
    return request.param


@pytest.fixture(scope="module")
def values(values_of):
    chart, name = values_of
    return support.value_sets(chart)[name]


@pytest.fixture(scope="module")
def documents(values_of, values):
    return render(values_of[0], values)


def test_there_are_charts():
    """An empty list would pass every rule; a new chart says what it makes pods by."""
    assert sorted({name.partition(" ")[0] for name in WORKLOADS}) == NAMES


def test_pods_are_restricted(values_of, documents):
    found = list(pods(documents))
    wanted = WORKLOADS.get(" ".join(values_of), WORKLOADS[values_of[0]])
    assert {pod.owner.partition("/")[0] for pod in found} == wanted
    assert [shortfall for pod in found for shortfall in support.unrestricted(pod)] == []


def test_only_who_asks_the_api_server_has_a_token_of_it(documents):
    owners = {support.steady(pod.owner): pod for pod in pods(documents)}
    found = {owner for owner, pod in owners.items() if support.has_api_token(pod)}
    assert found == API_TOKENS & owners.keys()


def test_no_secret_is_in_an_environment(documents):
    assert [place for pod in pods(documents) for place in support.secrets_in_the_open(pod)] == []


def test_objects_carry_the_common_labels(documents):
    assert support.unlabelled(documents) == []


def test_what_cannot_change_does_not(documents):
    assert support.unstable(documents) == []


def test_helm_lint_is_content(values_of, values):
    assert "0 chart(s) failed" in support.lint(values_of[0], values)


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


def for_each_part(chart, values):
    """The same values for a chart, or for all that it is made of."""
    return dict.fromkeys(PARTS, values) if chart == UMBRELLA else values


def test_network_policies_can_be_left_out(chart):
    assert of_kind(render(chart), "NetworkPolicy") != []
    without = for_each_part(chart, {"networkPolicy": {"enabled": False}})
    own = {"networkPolicy": {"defaultDeny": False}} if chart == UMBRELLA else {}
    assert of_kind(render(chart, without | own), "NetworkPolicy") == []


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
        render(chart, for_each_part(chart, wrong))
    assert str(refused.value).count(place) >= len(for_each_part(chart, {}) or [chart])
