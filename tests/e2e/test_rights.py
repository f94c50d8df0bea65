"""What the operator and the runs may do, and above all what not, as the API server decides it."""

import pytest

from tests.e2e.ingests import Ingest
from tests.e2e.kube import KubeError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OPERATOR = "operator"
RUNS = "sales-pipeline"

ALLOWED = [
    *(f"{verb} salesingests" for verb in ("get", "list", "watch", "patch")),
    "patch salesingests --subresource=status",
    *(f"{verb} jobs" for verb in ("get", "list", "watch", "create", "delete")),
    *(f"{verb} cronjobs" for verb in ("get", "list", "create", "patch", "delete")),
    "get pods",
    "list pods",
    "create events",
    "create leases",
    "get leases/operator",
    "update leases/operator",
]
REFUSED = [
    # What would give away credentials, the pipeline's and its own.
    *(f"{verb} secrets" for verb in ("get", "list", "watch", "create", "patch", "delete")),
    "get secrets/sales-pipeline-database",
    "create serviceaccounts --subresource=token",
    "impersonate serviceaccounts",
    "impersonate users",
    # What would let it work as others, past the Jobs it makes.
    "create pods",
    "delete pods",
    "patch pods",
    "create pods --subresource=exec",
    "get pods --subresource=exec",
    "create pods --subresource=attach",
    "create pods --subresource=portforward",
    "create pods --subresource=eviction",
    "patch pods --subresource=ephemeralcontainers",
    "get pods --subresource=log",
    "patch jobs",
    "update jobs",
    "deletecollection jobs",
    "create deployments",
    "patch deployments",
    "patch statefulsets",
    "create daemonsets",
    # What is the owner's: an ingest is neither made, nor removed, nor replaced.
    *(f"{verb} salesingests" for verb in ("create", "update", "delete", "deletecollection")),
    "update salesingests --subresource=finalizers",
    # Rights, and what the API server is made of.
    *(f"{verb} roles" for verb in ("get", "create", "patch", "escalate", "bind")),
    "create rolebindings",
    "escalate clusterroles",
    "bind clusterroles",
    "create clusterrolebindings",
    "patch customresourcedefinitions",
    "create mutatingwebhookconfigurations",
    "approve certificatesigningrequests",
    # Surroundings.
    *(f"{verb} configmaps" for verb in ("get", "list", "create", "patch")),
    "list nodes",
    "get nodes --subresource=proxy",
    "list namespaces",
    "patch services",
    "patch networkpolicies",
    "list events",
    "get leases/another",
    "delete leases/operator",
    "list leases",
    "get /metrics",
]
ELSEWHERE = [
    "get salesingests",
    "patch salesingests",
    "create jobs",
    "list pods",
    "create events",
    "get leases/operator",
    "get secrets",
]


def can(installation, account, question, namespace=""):
    """What `kubectl auth can-i` says for a service account of the installation."""
    name = installation.namespace.name
    who = f"--as=system:serviceaccount:{name}:{account}"
    where = f"--namespace={namespace or name}"
    try:
        answer = installation.namespace.kubectl("auth", "can-i", *question.split(), who, where)
    except KubeError as error:
        answer = str(error).partition("\n")[2]
    assert "doesn't have a resource type" not in answer
    verdict = [line.split()[0] for line in answer.splitlines() if line.startswith(("yes", "no"))]
    assert verdict in (["yes"], ["no"]), answer
    return verdict == ["yes"]


@pytest.mark.parametrize("question", ALLOWED)
def test_operator_may_do_what_it_does(installation, question):
    assert can(installation, OPERATOR, question)


@pytest.mark.parametrize("question", REFUSED)
def test_operator_may_do_nothing_else(installation, question):
    assert not can(installation, OPERATOR, question)


@pytest.mark.parametrize("question", ELSEWHERE)
@pytest.mark.parametrize("place", ["default", "kube-system"])
def test_operator_may_do_nothing_in_a_namespace_that_it_does_not_watch(
    installation, place, question
):
    assert not can(installation, OPERATOR, question, place)


def test_runs_may_do_no_more_than_an_account_without_any_right(installation):
    """Not even read what they are configured by."""
    assert rights(installation, RUNS) == rights(installation, "nobody-knows-this-one")
    assert rights(installation, RUNS) != rights(installation, OPERATOR)


def rights(installation, account):
    """All that a service account may do in the namespace."""
    who = f"--as=system:serviceaccount:{installation.namespace.name}:{account}"
    return installation.namespace.kubectl("auth", "can-i", "--list", who)


def test_pod_of_a_run_has_no_token_and_no_privilege(installation):
    """It stands in a namespace that enforces the restricted standard, and asks for no more."""
    ingest = Ingest.make(installation, "token")
    ingest.put({"bad.csv": b"no header\n"})
    ingest.until_done(1)
    (pod,) = ingest.pods()
    spec = pod["spec"]
    assert spec["serviceAccountName"] == RUNS
    assert spec["automountServiceAccountToken"] is False
    assert not [volume for volume in spec["volumes"] if "projected" in volume]
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_operators_release_keeps_its_promises(installation):
    """`helm test`: receiver, probes, token and certificate are as the chart says."""
    assert "Phase:          Succeeded" in installation.namespace.helm_test("operator")
