"""What `charts/operator` renders: who may do what, who knows what, who may call whom."""

from collections import Counter

import pytest

from sales_api.names import PIPELINE
from tests.charts.operator_chart import (
    ELSEWHERE,
    EVERYTHING,
    PUBLIC,
    SECRETS,
    metadata_of,
    settings_of,
)
from tests.charts.support import (
    NAMESPACE,
    of_kind,
    pod_of,
    pods,
    policy_for,
    ports_of,
    render,
    secrets_of,
    selects,
)

CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


@pytest.fixture(scope="module")
def default():
    return render("operator")


@pytest.fixture(scope="module")
def everything():
    return render("operator", EVERYTHING)


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request):
    return request.getfixturevalue(request.param)


# --- secrets and the token ------------------------------------------------------------------------


def test_each_pod_mounts_the_named_secrets_and_no_key_more(default):
    assert secrets_of(pod_of(default, "Deployment")) == SECRETS | PUBLIC
    assert secrets_of(pod_of(default, "Pod")) == {}
    assert of_kind(default, "Secret") == []


def test_secrets_may_be_called_otherwise():
    kinds = ("tls", "objectStore", "events")
    values = {kind: {"existingSecret": kind.lower()} for kind in kinds}
    found = render("operator", values | {"certificates": ["store-tls"]})
    names = {"store-tls", *(kind.lower() for kind in kinds)}
    assert secrets_of(pod_of(found, "Deployment")).keys() == names


def test_token_of_the_api_server_lies_where_clients_look_and_is_short_lived(default):
    pod = pod_of(default, "Deployment")
    mounts = {m["name"]: m["mountPath"] for m in pod.containers[0]["volumeMounts"]}
    volumes = {v["name"]: v for v in pod.spec["volumes"]}
    assert mounts["api-token"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    token, *others = volumes["api-token"]["projected"]["sources"]
    assert token["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    items = [item["path"] for source in others for s in source.values() for item in s["items"]]
    assert items == ["ca.crt", "namespace"]


def test_each_kind_of_pod_has_an_account_of_its_own(default):
    accounts = {pod.owner: pod.spec["serviceAccountName"] for pod in pods(default)}
    assert accounts == {"Deployment/operator": "operator", "Pod/operator-test": "operator-test"}
    made = of_kind(default, "ServiceAccount")
    assert {a["metadata"]["name"] for a in made} == {*accounts.values(), PIPELINE}
    assert {account["automountServiceAccountToken"] for account in made} == {False}


# --- rights ---------------------------------------------------------------------------------------

RULES = {
    ("minidata.io", "salesingests"): {"get", "list", "watch", "patch"},
    ("minidata.io", "salesingests/status"): {"patch"},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
    ("batch", "cronjobs"): {"get", "list", "create", "patch", "delete"},
    ("", "pods"): {"get", "list"},
    ("", "events"): {"create"},
}
"""All that the operator may do where ingests are; what is not here is denied."""
LEASE_RULES = {
    ("coordination.k8s.io", "leases", "operator"): {"get", "update"},
    ("coordination.k8s.io", "leases"): {"create"},
}


def granted(role):
    """Group, resource and, where there is one, name -> verbs."""
    found = {}
    for rule in role["rules"]:
        (group,), (resource,) = rule["apiGroups"], rule["resources"]
        key = (group, resource, *rule.get("resourceNames", ()))
        assert key not in found
        found[key] = set(rule["verbs"])
    return found


def rights(documents):
    """Where -> role -> what it grants; None is the whole cluster."""
    found = {}
    for role in (*of_kind(documents, "Role"), *of_kind(documents, "ClusterRole")):
        where = found.setdefault(role["metadata"].get("namespace"), {})
        where[role["metadata"]["name"]] = granted(role)
    return found


LEASE = {"operator-lease": LEASE_RULES}
OURS = {"operator": RULES}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, {NAMESPACE: OURS | LEASE}),
        (ELSEWHERE, {NAMESPACE: LEASE, "sales": OURS, "returns": OURS}),
        (EVERYTHING, {NAMESPACE: LEASE, None: {f"operator-{NAMESPACE}": RULES}}),
    ],
    ids=["own namespace", "other namespaces", "whole cluster"],
)
def test_rights_are_these_and_no_more(values, wanted):
    assert rights(render("operator", values)) == wanted


@pytest.mark.parametrize("values", [{}, ELSEWHERE, EVERYTHING])
def test_each_role_is_bound_once_and_to_the_operator_alone(values):
    found = render("operator", values)
    account = pod_of(found, "Deployment").spec["serviceAccountName"]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    bindings = (*of_kind(found, "RoleBinding"), *of_kind(found, "ClusterRoleBinding"))
    assert all(binding["subjects"] == [subject] for binding in bindings)
    roles = (*of_kind(found, "Role"), *of_kind(found, "ClusterRole"))
    bound = [(b["metadata"].get("namespace"), b["roleRef"]["name"]) for b in bindings]
    made = [(r["metadata"].get("namespace"), r["metadata"]["name"]) for r in roles]
    assert Counter(bound) == Counter(made)


def test_lease_that_may_be_taken_is_the_one_of_the_settings():
    found = render("operator", release="my-operator")
    names = rights(found)[NAMESPACE]["my-operator-lease"].keys()
    lease = settings_of(found).leadership.lease
    assert ("coordination.k8s.io", "leases", lease) in names


# --- namespaces -----------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [ELSEWHERE, ELSEWHERE | {"clusterWide": True}])
def test_runs_find_their_account_and_policy_where_their_ingests_are(values):
    found = metadata_of(render("operator", values))
    for kind, name in (("ServiceAccount", PIPELINE), ("NetworkPolicy", "operator-runs")):
        assert [where for k, where, n in found if (k, n) == (kind, name)] == ["sales", "returns"]


def test_account_of_runs_can_be_left_to_others():
    found = render("operator", {"pipeline": {"serviceAccount": {"create": False, "name": "mine"}}})
    assert not {PIPELINE, "mine"} & {n for kind, _, n in metadata_of(found) if "Account" in kind}
    assert settings_of(found).pipeline.service_account == "mine"


def test_whatever_has_a_namespace_says_which(documents):
    without = {kind for kind, where, _ in metadata_of(documents) if where is None}
    assert without <= CLUSTER_SCOPED


# --- network --------------------------------------------------------------------------------------

HOME = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}


def pods_called(name):
    """The only peers of a rule: pods of that name in the release's namespace."""
    selector = {"matchLabels": {"app.kubernetes.io/name": name}}
    return [{"namespaceSelector": HOME, "podSelector": selector}]


def test_operator_lets_in_the_object_store_and_its_test_only(default):
    (rule,) = policy_for(default, pod_of(default, "Deployment"))["ingress"]
    assert ports_of(rule) == {settings_of(default).receiver.port}
    test, *others = rule["from"]
    assert selects(test["podSelector"], pod_of(default, "Pod").labels)
    assert not selects(test["podSelector"], pod_of(default, "Deployment").labels)
    assert others == pods_called("minio")


def test_scrapers_are_let_in_where_they_are_named(everything):
    (rule,) = policy_for(everything, pod_of(everything, "Deployment"))["ingress"]
    assert rule["from"][2:] == EVERYTHING["networkPolicy"]["scrapers"]


def test_operator_calls_dns_api_server_and_object_store_only(default):
    dns, api, store = policy_for(default, pod_of(default, "Deployment"))["egress"]
    assert [ports_of(rule) for rule in (dns, api, store)] == [{53}, {443, 6443}, {9000}]
    assert "to" not in api
    assert store["to"] == pods_called("minio")


def test_api_server_and_object_store_may_be_anywhere_or_at_an_address(everything):
    _, api, store, _ = policy_for(everything, pod_of(everything, "Deployment"))["egress"]
    assert (ports_of(api), api["to"]) == ({6443}, [{"ipBlock": {"cidr": "10.0.0.1/32"}}])
    assert (ports_of(store), store.get("to")) == ({443}, None)


def test_runs_are_called_by_nobody_and_call_what_they_need():
    policies = of_kind(render("operator", ELSEWHERE), "NetworkPolicy")
    specs = [p["spec"] for p in policies if p["metadata"]["namespace"] != NAMESPACE]
    assert len(specs) == len(ELSEWHERE["watchNamespaces"])
    for spec in specs:
        assert selects(spec["podSelector"], {"app.kubernetes.io/name": PIPELINE})
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in spec
        assert [(ports_of(rule), rule.get("to")) for rule in spec["egress"]] == [
            ({53}, None),
            ({9000}, pods_called("minio")),
            ({5432}, pods_called("postgres")),
            ({8200}, pods_called("vault")),
        ]


def test_test_calls_the_operator_and_is_called_by_nobody(documents):
    spec = policy_for(documents, pod_of(documents, "Pod"))
    assert "Ingress" in spec["policyTypes"]
    assert "ingress" not in spec
    _, rule = spec["egress"]
    assert ports_of(rule) == {settings_of(documents).receiver.port}
    assert selects(rule["to"][0]["podSelector"], pod_of(documents, "Deployment").labels)
