"""`charts/operator` with Vault: what its agent is given, and what the operator then finds."""

import re
from dataclasses import replace

import pytest

from sales_operator.receiver import Token
from sales_operator.settings import read_settings
from tests.charts.local_pod import LocalPod
from tests.charts.operator_chart import PUBLIC, SECRETS, settings_of
from tests.charts.support import (
    HelmError,
    named,
    of_kind,
    pod_of,
    policy_for,
    ports_of,
    render,
    secrets_of,
    selects,
)
from tests.charts.vault_agent import NAME, PlannedVault, agent_of, destinations, memory_of, token_of
from tests.charts.vault_chart import plan_of
from tests.vault.plans import example

VAULT = {"vault": {"enabled": True}}


@pytest.fixture(scope="module")
def plain():
    return render("operator")


@pytest.fixture(scope="module")
def vaulted():
    return render("operator", VAULT)


def agent_config(documents):
    return named(documents, "ConfigMap", "operator-vault-agent")["data"]["agent.hcl"]


def operator_of(documents):
    (operator,) = pod_of(documents, "Deployment").spec["containers"]
    return operator


# --- what is rendered ---------------------------------------------------------------------------


def test_no_secret_is_mounted_but_the_certificate(vaulted):
    wanted = {"operator-tls": SECRETS["operator-tls"]} | PUBLIC
    assert secrets_of(pod_of(vaulted, "Deployment")) == wanted


def test_operator_is_the_same_with_and_without(plain, vaulted):
    """The files lie where those of the Secrets were."""
    before, after = operator_of(plain), operator_of(vaulted)
    assert {**after, "volumeMounts": None} == {**before, "volumeMounts": None}
    assert settings_of(vaulted) == settings_of(plain)


def test_test_and_runs_are_left_as_they_are(plain, vaulted):
    assert pod_of(vaulted, "Pod") == pod_of(plain, "Pod")
    policies = [named(d, "NetworkPolicy", "operator-runs") for d in (plain, vaulted)]
    assert policies[0] == policies[1]


def test_agent_writes_to_memory_that_the_operator_only_reads(vaulted):
    assert memory_of(pod_of(vaulted, "Deployment")) == destinations(agent_config(vaulted))


def test_files_are_of_the_group_that_both_containers_are_in(vaulted):
    containers = pod_of(vaulted, "Deployment").containers
    assert not [c for c in containers if {"runAsUser", "runAsGroup"} & c["securityContext"].keys()]
    assert set(re.findall(r'perms\s+= "(\d+)"', agent_config(vaulted))) == {"0440"}


def test_each_container_has_the_token_that_is_for_it_alone(vaulted):
    pod = pod_of(vaulted, "Deployment")
    assert token_of(pod)["audience"] == "vault"
    mounts = {c["name"]: {m["name"] for m in c["volumeMounts"]} for c in pod.containers}
    tokens = {name: found & {NAME, "api-token"} for name, found in mounts.items()}
    assert tokens == {NAME: {NAME}, "operator": {"api-token"}}


def test_account_is_the_one_that_vault_lets_in(vaulted):
    account = pod_of(vaulted, "Deployment").spec["serviceAccountName"]
    for plan in (example(), plan_of(render("vault"))):
        assert plan["roles"]["sales-operator"]["serviceAccounts"] == [account]


def test_image_of_the_agent_is_a_value():
    image = {"registry": "", "repository": "registry.example/bao", "tag": "1"}
    agent = agent_of(
        pod_of(render("operator", {"vault": VAULT["vault"] | {"image": image}}), "Deployment")
    )
    assert agent["image"] == "registry.example/bao:1"


def test_agent_may_call_vault(plain, vaulted):
    before, after = (policy_for(d, pod_of(d, "Deployment"))["egress"] for d in (plain, vaulted))
    (rule,) = [rule for rule in after if rule not in before]
    assert ports_of(rule) == {8200}
    assert selects(rule["to"][0]["podSelector"], {"app.kubernetes.io/name": "vault"})


def test_vault_elsewhere_may_be_called_anywhere():
    found = render("operator", VAULT | {"networkPolicy": {"vault": {"peers": [], "ports": [443]}}})
    rule = policy_for(found, pod_of(found, "Deployment"))["egress"][-1]
    assert (ports_of(rule), "to" in rule) == ({443}, False)


def test_where_all_is_can_be_said():
    vault = {"address": "https://v.example:1", "role": "r", "authPath": "a/b", "kvMount": "m"}
    paths = {"objectStore": {"vaultPath": "x/y"}, "events": {"vaultPath": "z"}}
    config = agent_config(render("operator", {"vault": vault | {"enabled": True}} | paths))
    for text in ("https://v.example:1", "auth/a/b", "r", "m/data/x/y", "m/data/z"):
        assert f'"{text}"' in config


def checksum(values):
    pod = pod_of(render("operator", values), "Deployment")
    return pod.metadata["annotations"]["checksum/config"]


def test_another_place_in_vault_is_a_rollout():
    elsewhere = {"events": {"vaultPath": "z"}}
    assert checksum(VAULT | elsewhere) != checksum(VAULT)
    assert checksum(elsewhere) == checksum({})


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"vault": {"address": "http://vault:8200"}}, "/vault/address"),
        ({"vault": {"role": ""}}, "/vault/role"),
        ({"vault": {"kvMount": 'kv" ]]'}}, "/vault/kvMount"),
        ({"vault": {"image": {"tag": ""}}}, "/vault/image/tag"),
        ({"objectStore": {"vaultPath": "a b"}}, "/objectStore/vaultPath"),
        ({"events": {"vaultPath": None}}, "/events"),
        ({"credentials": {"vault": {"kvMount": "kv"}}}, "/credentials/vault"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("operator", values)
    assert place in str(refused.value)


# --- what comes of it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    with PlannedVault.make(tmp_path_factory.mktemp("vault")) as made:
        yield made


def run_agent(vault, root, **spec):
    """The operator's files as its pod finds them, its agent run; returns how that ended."""
    documents = render("operator", VAULT)
    pod = pod_of(documents, "Deployment")
    files = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    files |= {name: {"ca.crt": "x"} for name in ("minidata-ca", "kube-root-ca.crt")}
    files["operator-tls"] = dict.fromkeys(SECRETS["operator-tls"], "x")
    LocalPod.make(pod, root, files, {})
    return vault.run_agent(replace(pod, spec=pod.spec | spec), root, files)


def text_of(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.integration
def test_operator_finds_keys_and_token_where_its_settings_say(vault, tmp_path):
    keys, events = (vault.secret(f"sales/operator-{name}") for name in ("object-store", "events"))
    ended = run_agent(vault, tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = read_settings(tmp_path / "etc/sales-operator/settings.yaml")
    store = tmp_path / found.object_store.credentials.relative_to("/")
    token = tmp_path / found.receiver.token.relative_to("/")
    assert text_of(store) == keys
    assert Token(token).admits(f"Bearer {events['token']}")
    assert {path.stat().st_mode & 0o777 for path in (*store.iterdir(), token)} == {0o440}
    said = ended.stdout + ended.stderr
    assert [secret for secret in (keys["secret_key"], events["token"]) if secret in said] == []


@pytest.mark.integration
def test_operator_does_not_start_without_the_token(vault, tmp_path):
    events = vault.secret("sales/operator-events")
    vault.write("sales/operator-events", tokn="x")
    try:
        ended = run_agent(vault, tmp_path)
    finally:
        vault.write("sales/operator-events", **events)
    assert ended.returncode != 0
    assert "<.Data.data.token>: map has no entry" in ended.stderr
    assert text_of(tmp_path / "etc/sales-operator/events") == {}


@pytest.mark.integration
def test_nobody_but_the_charts_account_is_let_in(vault, tmp_path):
    ended = run_agent(vault, tmp_path, serviceAccountName="operator-test")
    assert ended.returncode != 0
    assert "Code: 403" in ended.stderr
    assert text_of(tmp_path / "etc/sales-operator/object-store") == {}
