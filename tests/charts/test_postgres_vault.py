"""`charts/postgres` with Vault: what its agent is given, and what the bootstrap makes of that."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sales_vault.waiting import until
from tests.charts.postgres_chart import LOADER, config_of, container_of
from tests.charts.postgres_local import LocalChart, local_pod, state
from tests.charts.support import (
    HelmError,
    environ_of,
    of_kind,
    pod_of,
    policy_for,
    ports_of,
    render,
    secrets_of,
    selects,
)
from tests.charts.vault_agent import NAME, PlannedVault, agent_of, destinations, memory_of, token_of
from tests.support.services import Database
from tests.vault.plans import example, with_database

VAULT = {"vault": {"enabled": True}, "vaultAdmin": {"enabled": True}}
COMPONENTS = {"StatefulSet": "server", "Job": "bootstrap", "Pod": "test"}
OWNERS = list(COMPONENTS)
SECONDS = 60
"""Vault ends logins after it has answered whoever revoked their token."""


@pytest.fixture(scope="module")
def plain():
    return render("postgres", {"vaultAdmin": {"enabled": True}})


@pytest.fixture(scope="module")
def vaulted():
    return render("postgres", VAULT)


def agent_config(documents, component):
    return config_of(documents, "postgres-vault-agent")[f"{component}.hcl"]


def others(pod):
    """The containers of a pod that are not the agent."""
    return [c for c in pod.containers if c["name"] != NAME]


# --- what is rendered ---------------------------------------------------------------------------


def test_no_secret_is_mounted_but_the_certificate(vaulted):
    found = {owner: secrets_of(pod_of(vaulted, owner)) for owner in OWNERS}
    assert found == {"StatefulSet": {"postgres-tls": {"tls.crt", "tls.key"}}, "Job": {}, "Pod": {}}


@pytest.mark.parametrize("owner", OWNERS)
def test_containers_are_the_same_with_and_without(plain, vaulted, owner):
    """The files lie where the Secrets were; only what they are called is another thing."""
    before, after = (others(pod_of(documents, owner)) for documents in (plain, vaulted))
    assert [{**c, "env": None} for c in after] == [{**c, "env": None} for c in before]
    names = {"SUPERUSER_SECRET", "SECRETS", "LOADERS", "READERS"}
    for one, other in zip(before, after, strict=True):
        changed = environ_of(one).items() ^ environ_of(other).items()
        assert {name for name, _ in changed} <= names


@pytest.mark.parametrize("owner", OWNERS)
def test_agent_writes_to_memory_that_the_containers_only_read(vaulted, owner):
    pod = pod_of(vaulted, owner)
    memory = memory_of(pod)
    folders = destinations(agent_config(vaulted, COMPONENTS[owner]))
    assert [f for f in folders if not any(f"{f}/".startswith(f"{path}/") for path in memory)] == []


@pytest.mark.parametrize("owner", OWNERS)
def test_token_is_for_vault_and_in_no_other_container(vaulted, owner):
    pod = pod_of(vaulted, owner)
    assert token_of(pod)["audience"] == "vault"
    users = {c["name"] for c in pod.containers for m in c["volumeMounts"] if m["name"] == NAME}
    assert users == {NAME}


@pytest.mark.parametrize("owner", OWNERS)
def test_files_are_of_a_group_that_every_container_is_in(vaulted, owner):
    """The agent's own, which Kubernetes gives to all containers of the pod."""
    pod = pod_of(vaulted, owner)
    assert not {"runAsUser", "runAsGroup"} & agent_of(pod)["securityContext"].keys()
    context = pod.spec["securityContext"]
    config = agent_config(vaulted, COMPONENTS[owner])
    assert set(re.findall(r'perms\s+= "(\d+)"', config)) == {"0440"}
    users = {c["securityContext"].get("runAsGroup", context["runAsGroup"]) for c in others(pod)}
    assert context["fsGroup"] in users


def test_logins_without_a_path_are_left_to_vault(vaulted):
    assert environ_of(container_of(vaulted, "test"))["READERS"] == "postgres/metabase"
    assert environ_of(container_of(vaulted, "test"))["LOADERS"] == ""
    assert "sales-pipeline-database" not in config_of(vaulted, "postgres-scripts")["logins.sql"]


def test_login_of_vault_alone_is_refused_without_it():
    logins = [{"vaultPath": "x", "memberOf": ["etl_loader"]}]
    with pytest.raises(HelmError, match="name the Secret of the login with the vaultPath x"):
        render("postgres", {"logins": logins})


def test_job_outlasts_a_vault_that_is_not_ready(plain, vaulted):
    limits = [of_kind(d, "Job")[0]["spec"]["backoffLimit"] for d in (plain, vaulted)]
    assert limits == [3, 6]


def test_without_hooks_another_place_in_vault_is_another_job():
    def name(role):
        values = {"vault": {"enabled": True, "role": role}, "bootstrap": {"hook": False}}
        return of_kind(render("postgres", values), "Job")[0]["metadata"]["name"]

    assert name("a") == name("a") != name("b")


@pytest.mark.parametrize("owner", OWNERS)
def test_agent_may_call_vault(vaulted, owner):
    rules = policy_for(vaulted, pod_of(vaulted, owner))["egress"]
    found = {port: rule for rule in rules for port in ports_of(rule)}
    assert found.keys() == {53, 8200} | ({5432} if owner != "StatefulSet" else set())
    vault = {"app.kubernetes.io/name": "vault"}
    assert selects(found[8200]["to"][0]["podSelector"], vault)


def test_vault_may_call_the_server_where_it_has_a_login(vaulted):
    def lets_in(documents):
        (rule,) = policy_for(documents, pod_of(documents, "StatefulSet"))["ingress"]
        labels = {"app.kubernetes.io/name": "vault"}
        return any(selects(peer["podSelector"], labels) for peer in rule["from"])

    assert lets_in(vaulted)
    assert not lets_in(render("postgres", {"vault": {"enabled": True}}))


def test_where_all_is_can_be_said():
    vault = {"address": "https://v.example:1", "role": "r", "authPath": "a/b", "kvMount": "m"}
    paths = {"superuser": {"vaultPath": "x/y"}, "database": {"vaultPath": "z"}}
    found = render("postgres", {"vault": vault | {"enabled": True}} | paths)
    config = agent_config(found, "bootstrap")
    for text in ("https://v.example:1", "auth/a/b", "r", "m/data/x/y", "m/data/z"):
        assert f'"{text}"' in config


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"vault": {"address": "http://vault:8200"}}, "/vault/address"),
        ({"vault": {"role": ""}}, "/vault/role"),
        ({"vault": {"kvMount": 'kv" ]]'}}, "/vault/kvMount"),
        ({"vault": {"image": {"tag": ""}}}, "/vault/image/tag"),
        ({"superuser": {"vaultPath": "a b"}}, "/superuser/vaultPath"),
        ({"vaultAdmin": {"vaultPath": None}}, "/vaultAdmin"),
        ({"logins": [LOADER | {"vaultPath": "../x y"}]}, "/logins/0/vaultPath"),
        ({"networkPolicy": {"vault": {"ports": []}}}, "/networkPolicy/vault/ports"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("postgres", values)
    assert place in str(refused.value)


# --- what comes of it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    with PlannedVault.make(tmp_path_factory.mktemp("vault")) as made:
        yield made


@pytest.fixture(scope="module")
def chart(vault, tmp_path_factory):
    """The chart on a server of its own, with nothing but Vault to have its logins from."""
    from sales_pipeline.demo.postgres_server import PostgresServer

    with PostgresServer.start(tmp_path_factory.mktemp("server")) as server:
        made = LocalChart(server, tmp_path_factory.mktemp("chart"))
        bootstrap(made, vault)
        ended = made.migrate(vault, VAULT)
        assert (ended.code, ended.err) == (0, "")
        yield made


def bootstrap(chart, vault):
    ended = chart.bootstrap(vault, VAULT)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def plan(vault, chart):
    """What Vault is set up by, now that the login for it is there."""
    made = with_database(example(), Database("sales", chart.server))
    ended = vault.world.run("setup", made)
    assert ended.code == 0, ended.err
    return made


def login_of(vault, path):
    secret = vault.secret(path)
    return secret["username"], secret["password"]


@pytest.mark.integration
def test_data_are_made_with_the_superuser_of_vault(vault, tmp_path):
    pod = local_pod("StatefulSet", "initdb", tmp_path, vault, VAULT)
    folder = Path(pod.environ["SUPERUSER_DIR"])
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert files == vault.secret("postgres/superuser")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o440}


@pytest.mark.integration
def test_logins_are_those_of_vault_and_no_others(vault, chart):
    for path in ("postgres/owner", "postgres/metabase"):
        chart.connect(*login_of(vault, path)).close()
    names = {role[0] for role in state(chart)["roles"] if role[1]}
    assert names - {"vault_admin"} == {"postgres", "sales_owner", "metabase"}


@pytest.mark.integration
def test_vault_makes_and_removes_logins_and_an_upgrade_leaves_both_alone(vault, chart, plan):
    """Its password of the bootstrap is one that only Vault knows by now."""
    with vault.world.logged_in("sales-pipeline") as run:
        login = run.read("database/creds/sales-pipeline")["data"]
        bootstrap(chart, vault)
        assert vault.world.run("check", plan).code == 0
        with closing(chart.connect(login["username"], login["password"])) as connection:
            connection.execute("DELETE FROM fact_sales")
        assert run.read("database/creds/sales-pipeline")["data"] != login
        run.auth.token.revoke_self()
    assert until(lambda: not [name for name, *_ in state(chart)["roles"] if "v-" in name], SECONDS)


@pytest.mark.integration
def test_nobody_but_the_charts_account_is_let_in(vault, tmp_path):
    documents = render("postgres", VAULT)
    pod = pod_of(documents, "StatefulSet")
    stranger = replace(pod, spec=pod.spec | {"serviceAccountName": "default"})
    maps = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    ended = vault.run_agent(stranger, tmp_path, maps)
    assert ended.returncode != 0
    assert "Code: 403" in ended.stderr
    assert list((tmp_path / "superuser").iterdir()) == []
