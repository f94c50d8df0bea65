"""What `charts/vault` renders: who may do what, who knows what, who may call whom."""

from collections import Counter

import pytest

from tests.charts.support import (
    NAMESPACE,
    has_api_token,
    of_kind,
    pod_of,
    pods,
    policy_for,
    ports_of,
    render,
    secrets_of,
    selects,
)
from tests.charts.vault_chart import EVERYTHING, SELF_INIT, made_by

AUTO = {"injector": {"replicas": 1, "tls": {"auto": True}}}
SETUP, CHECK, TEST = "Job/vault-setup", "Job/vault-injector-check", "Pod/vault-test"
READERS = ("minio", "postgres", "sales-operator", "sales-pipeline")
WEBHOOK = f"vault-{NAMESPACE}-injector"
WEBHOOKS = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", WEBHOOK)


@pytest.fixture(scope="module")
def default():
    return render("vault")


@pytest.fixture(scope="module")
def everything():
    return render("vault", EVERYTHING)


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request):
    return request.getfixturevalue(request.param)


# --- secrets and tokens ---------------------------------------------------------------------------


def test_each_pod_mounts_the_named_secrets_and_no_key_more(default):
    assert of_kind(default, "Secret") == []
    assert {pod.owner: secrets_of(pod) for pod in pods(default)} == {
        "StatefulSet/vault": {"vault-tls": {"tls.crt", "tls.key"}},
        "Deployment/vault-injector": {"vault-injector-tls": {"tls.crt", "tls.key"}},
        SETUP: {},
        CHECK: {},
        TEST: {},
    }


def test_seal_of_the_server_is_nobody_elses(everything):
    assert [pod.owner for pod in pods(everything) if "vault-seal" in secrets_of(pod)] == [
        "StatefulSet/vault"
    ]


def test_secrets_may_be_called_otherwise():
    values = {"tls": {"existingSecret": "a"}, "injector": {"tls": {"existingSecret": "b"}}}
    found = render("vault", values)
    assert {name for pod in pods(found) for name in secrets_of(pod)} == {"a", "b"}


def test_each_kind_of_pod_has_an_account_of_its_own(default):
    accounts = {pod.owner: pod.spec["serviceAccountName"] for pod in pods(default)}
    assert len(set(accounts.values())) == len(accounts)
    made = of_kind(default, "ServiceAccount")
    assert {account["metadata"]["name"] for account in made} == set(accounts.values())
    assert {account["automountServiceAccountToken"] for account in made} == {False}


def test_setup_logs_in_with_a_token_that_is_of_use_to_vault_only(documents):
    volumes = {v["name"]: v for v in made_by(documents, SETUP).spec["volumes"]}
    (source,) = volumes["vault-token"]["projected"]["sources"]
    assert source["serviceAccountToken"] == {
        "path": "token",
        "audience": "vault",
        "expirationSeconds": 600,
    }


def test_without_keys_the_setup_has_no_token_of_the_api_server_and_no_rights():
    found = render("vault", SELF_INIT)
    assert not has_api_token(made_by(found, SETUP))
    assert of_kind(found, "Role") == []


# --- rights ---------------------------------------------------------------------------------------


def granted(role):
    """Group, resource and, where there is one, name -> verbs."""
    return {
        (*rule["apiGroups"], *rule["resources"], *rule.get("resourceNames", ())): set(rule["verbs"])
        for rule in role["rules"]
    }


def rights(documents):
    """Who -> what a role of the chart grants."""
    roles = {
        (role["kind"], role["metadata"]["name"]): granted(role)
        for kind in ("Role", "ClusterRole")
        for role in of_kind(documents, kind)
    }
    bindings = (*of_kind(documents, "RoleBinding"), *of_kind(documents, "ClusterRoleBinding"))
    found = {}
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert subject["namespace"] == NAMESPACE
        named = (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        found[subject["name"]] = roles.get(named, binding["roleRef"]["name"])
    return found


KEYS = {("", "secrets", "vault-keys"): {"get", "update", "patch"}, ("", "secrets"): {"create"}}
OURS = {
    "vault": "system:auth-delegator",
    "vault-setup": KEYS,
    "vault-injector-check": {WEBHOOKS: {"get"}},
}


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, OURS),
        (AUTO, OURS | {"vault-injector": {WEBHOOKS: {"get", "patch"}}}),
        (SELF_INIT, {name: rules for name, rules in OURS.items() if name != "vault-setup"}),
    ],
    ids=["default", "certificate of its own making", "no keys"],
)
def test_rights_are_these_and_no_more(values, wanted):
    assert rights(render("vault", values)) == wanted


@pytest.mark.parametrize("values", [{}, AUTO, EVERYTHING])
def test_each_role_is_bound_once(values):
    found = render("vault", values)
    bindings = (*of_kind(found, "RoleBinding"), *of_kind(found, "ClusterRoleBinding"))
    roles = (*of_kind(found, "Role"), *of_kind(found, "ClusterRole"))
    bound = Counter(binding["roleRef"]["name"] for binding in bindings)
    assert bound == Counter(["system:auth-delegator", *(r["metadata"]["name"] for r in roles)])


def test_keys_may_be_in_a_secret_of_another_name(everything):
    (role,) = of_kind(everything, "Role")
    assert granted(role).keys() == {("", "secrets", "recovery-keys"), ("", "secrets")}


# --- network --------------------------------------------------------------------------------------


def test_server_lets_in_its_clients_each_other_and_the_charts_own(default):
    service, cluster = policy_for(default, pod_of(default, "StatefulSet"))["ingress"]
    assert (ports_of(service), ports_of(cluster)) == ({8200}, {8201})
    ours, *clients = service["from"]
    let_in = {pod.owner for pod in pods(default) if selects(ours["podSelector"], pod.labels)}
    assert let_in == {"StatefulSet/vault", SETUP, TEST}
    assert [peer["podSelector"]["matchLabels"] for peer in clients] == [
        {"minidata.io/vault-agent": "true"},
        *({"app.kubernetes.io/name": name} for name in READERS),
    ]
    (peer,) = cluster["from"]
    let_in = [pod.owner for pod in pods(default) if selects(peer["podSelector"], pod.labels)]
    assert let_in == ["StatefulSet/vault"]


def called(rules):
    """Ports -> peers, of what a pod may call."""
    return [(ports_of(rule), rule.get("to")) for rule in rules]


def to_ours(pod):
    """The peers that let to a pod of the chart, and to no other of its pods."""
    keys = ("name", "instance", "component")
    labels = {f"app.kubernetes.io/{key}": pod.labels[f"app.kubernetes.io/{key}"] for key in keys}
    return [{"podSelector": {"matchLabels": labels}}]


def test_server_calls_dns_api_server_and_each_other_only(default):
    server = pod_of(default, "StatefulSet")
    assert called(policy_for(default, server)["egress"]) == [
        ({53}, None),
        ({443, 6443}, None),
        ({8200, 8201}, to_ours(server)),
    ]


def test_server_calls_warehouse_and_seal_where_it_has_them(everything):
    server = pod_of(everything, "StatefulSet")
    assert called(policy_for(everything, server)["egress"]) == [
        ({53}, None),
        ({6443}, [{"ipBlock": {"cidr": "10.0.0.1/32"}}]),
        ({8200, 8201}, to_ours(server)),
        ({6432}, None),
        ({8200}, [{"ipBlock": {"cidr": "10.0.0.2/32"}}]),
    ]


def test_seal_that_asks_nobody_opens_nothing():
    found = render("vault", SELF_INIT | {"networkPolicy": {"seal": {"ports": []}}})
    rules = policy_for(found, pod_of(found, "StatefulSet"))["egress"]
    assert [ports_of(rule) for rule in rules] == [{53}, {443, 6443}, {8200, 8201}]


def test_the_charts_jobs_are_called_by_nobody_and_call_what_they_need(default):
    server = to_ours(pod_of(default, "StatefulSet"))
    injector = to_ours(pod_of(default, "Deployment"))
    wanted = {
        SETUP: [({53}, None), ({8200}, server), ({443, 6443}, None)],
        TEST: [({53}, None), ({8200}, server)],
        CHECK: [({53}, None), ({443, 6443}, None), ({8080}, injector)],
    }
    for owner, rules in wanted.items():
        spec = policy_for(default, made_by(default, owner))
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in spec
        assert called(spec["egress"]) == rules


def test_injector_is_called_at_its_port_and_calls_the_api_server(default):
    spec = policy_for(default, pod_of(default, "Deployment"))
    (rule,) = spec["ingress"]
    assert (ports_of(rule), rule.get("from")) == ({8080}, None)
    assert called(spec["egress"]) == [({53}, None), ({443, 6443}, None)]


def test_injector_is_called_by_the_api_server_alone_where_that_is_known(everything):
    (rule,) = policy_for(everything, pod_of(everything, "Deployment"))["ingress"]
    api_server, check = rule["from"]
    assert api_server == {"ipBlock": {"cidr": "10.0.0.1/32"}}
    assert [check] == to_ours(made_by(everything, CHECK))
