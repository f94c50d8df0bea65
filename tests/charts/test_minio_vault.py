"""`charts/minio` with Vault: what its agent is given, and what then becomes of server and users."""

import re
from dataclasses import replace

import pytest

from tests.charts.minio_cluster import SUPPLIER, VaultedCluster, parse_env
from tests.charts.support import (
    HelmError,
    environ_of,
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

WEBHOOK = {"enabled": True, "endpoint": "https://receiver.example:8443/events"}
VAULT = {"vault": {"enabled": True}, "webhook": WEBHOOK}
SUPPLIED = {"users": {"supplier": {"existingSecret": SUPPLIER, "policies": ["sales-pipeline"]}}}
COMPONENTS = {"StatefulSet": "server", "Job": "bootstrap", "Pod": "test"}
OWNERS = list(COMPONENTS)


@pytest.fixture(scope="module")
def plain():
    return render("minio", {"webhook": WEBHOOK})


@pytest.fixture(scope="module")
def vaulted():
    return render("minio", VAULT)


def config_of(documents, component):
    return named(documents, "ConfigMap", "minio-vault-agent")["data"][f"{component}.hcl"]


# --- what is rendered ---------------------------------------------------------------------------


@pytest.mark.parametrize("owner", OWNERS)
def test_no_secret_is_mounted_but_the_certificates(vaulted, owner):
    assert secrets_of(pod_of(vaulted, owner)).keys() == {"minio-tls"}


@pytest.mark.parametrize("owner", OWNERS)
def test_containers_are_the_same_with_and_without(plain, vaulted, owner):
    """The files lie where the Secrets were."""
    (before,), (after,) = (pod_of(d, owner).spec["containers"] for d in (plain, vaulted))
    told = {"SERVER_SECRET": "Vault's minio/server"} if owner == "Job" else {}
    assert environ_of(after) == environ_of(before) | told
    assert {**after, "env": None} == {**before, "env": None}


@pytest.mark.parametrize("owner", OWNERS)
def test_agent_writes_to_memory_that_the_container_only_reads(vaulted, owner):
    pod = pod_of(vaulted, owner)
    memory = memory_of(pod)
    folders = destinations(config_of(vaulted, COMPONENTS[owner]))
    assert [f for f in folders if not any(f"{f}/".startswith(f"{path}/") for path in memory)] == []


@pytest.mark.parametrize("owner", OWNERS)
def test_token_is_for_vault_and_in_no_other_container(vaulted, owner):
    pod = pod_of(vaulted, owner)
    assert token_of(pod)["audience"] == "vault"
    assert pod.spec["automountServiceAccountToken"] is False
    users = {c["name"] for c in pod.containers for m in c["volumeMounts"] if m["name"] == NAME}
    assert users == {NAME}


def test_image_of_the_agent_is_a_value():
    image = {"registry": "registry.example", "repository": "bao", "tag": "1", "digest": ""}
    found = render("minio", {"vault": {"enabled": True, "image": image}})
    agents = [agent_of(pod_of(found, owner)) for owner in OWNERS]
    assert {agent["image"] for agent in agents} == {"registry.example/bao:1"}


def test_bootstrap_is_given_no_more_than_the_root_login(vaulted):
    config = config_of(vaulted, "bootstrap")
    assert "root_password" in config
    assert [word for word in ("kms_key", "operator-events") if word in config] == []


def test_job_outlasts_a_vault_that_is_not_ready(plain, vaulted):
    limits = [of_kind(d, "Job")[0]["spec"]["backoffLimit"] for d in (plain, vaulted)]
    assert limits == [2, 6]


@pytest.mark.parametrize("owner", OWNERS)
def test_agent_may_call_vault(plain, vaulted, owner):
    before, after = (policy_for(d, pod_of(d, owner))["egress"] for d in (plain, vaulted))
    (rule,) = [rule for rule in after if rule not in before]
    assert ports_of(rule) == {8200}
    assert selects(rule["to"][0]["podSelector"], {"app.kubernetes.io/name": "vault"})


def test_vault_elsewhere_may_be_called_anywhere():
    policy = {"vault": {"peers": [], "ports": [443]}}
    found = render("minio", VAULT | {"networkPolicy": policy})
    rule = policy_for(found, pod_of(found, "StatefulSet"))["egress"][-1]
    assert (ports_of(rule), "to" in rule) == ({443}, False)


def test_where_all_is_can_be_said():
    vault = {"address": "https://v.example:1", "role": "r", "authPath": "a/b", "kvMount": "m"}
    paths = {"config": {"vaultPath": "x/y"}, "webhook": WEBHOOK | {"vaultPath": "z"}}
    config = config_of(render("minio", {"vault": vault | {"enabled": True}} | paths), "server")
    for text in ("https://v.example:1", "auth/a/b", "r", "m/data/x/y", "m/data/z"):
        assert f'"{text}"' in config


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"vault": {"address": "http://vault:8200"}}, "/vault/address"),
        ({"vault": {"role": ""}}, "/vault/role"),
        ({"vault": {"kvMount": 'kv" ]]'}}, "/vault/kvMount"),
        ({"vault": {"image": {"tag": ""}}}, "/vault/image/tag"),
        ({"config": {"vaultPath": "a b"}}, "/config/vaultPath"),
        ({"users": {"x": {"policies": []}}}, "/users/x"),
        ({"networkPolicy": {"vault": {"ports": []}}}, "/networkPolicy/vault/ports"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("minio", values)
    assert place in str(refused.value)


def test_user_of_vault_alone_is_refused_without_it():
    users = {"x": {"vaultPath": "x", "policies": []}}
    with pytest.raises(HelmError, match=re.escape("users.x.existingSecret: name the Secret")):
        render("minio", {"users": users})


# --- what comes of it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    with PlannedVault.make(tmp_path_factory.mktemp("vault")) as made:
        yield made


@pytest.fixture
def cluster(vault, tmp_path):
    """One whose secrets are the plan's again afterwards."""
    kept = {path: vault.secret(path) for path in ("minio/server", "sales/operator-events")}
    yield VaultedCluster(tmp_path, vault)
    for path, content in kept.items():
        vault.write(path, **content)


def run_agent(cluster, **spec):
    """The agent in front of the server; returns how it ended and the file's place."""
    documents = render("minio", VAULT)
    pod = pod_of(documents, "StatefulSet")
    maps = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    ended = cluster.vault.run_agent(replace(pod, spec=pod.spec | spec), cluster.root, maps)
    return ended, cluster.root / "config/config.env"


@pytest.mark.integration
def test_server_and_users_live_by_what_vault_has(cluster):
    values = VAULT | SUPPLIED
    with cluster.server(values).begin():
        ended = cluster.bootstrap(values)
        assert ended.code == 0, ended.text
        assert cluster.helm_test(values).code == 0
        pipeline = cluster.client_with(cluster.vault.secret("sales/object-store"))
        written = pipeline.put_object(Bucket="sales", Key="processed/a", Body=b"a")
        assert written["ServerSideEncryption"] == "AES256"
        supplier = cluster.client(SUPPLIER)
        assert supplier.get_object(Bucket="sales", Key="processed/a")["ContentLength"] == 1
        operator = cluster.client_with(cluster.vault.secret("sales/operator-object-store"))
        listed = operator.list_objects_v2(Bucket="sales", Prefix="processed/a")
        assert listed["KeyCount"] == 1


@pytest.mark.integration
def test_config_holds_the_login_the_key_and_one_token_for_both_targets(cluster):
    server, events = (cluster.vault.secret(p) for p in ("minio/server", "sales/operator-events"))
    ended, file = run_agent(cluster)
    assert file.stat().st_mode & 0o777 == 0o440
    assert parse_env({"config.env": file.read_text()}) == {
        "MINIO_ROOT_USER": f'"{server["root_user"]}"',
        "MINIO_ROOT_PASSWORD": f'"{server["root_password"]}"',
        "MINIO_KMS_SECRET_KEY": f'"{server["kms_key"]}"',
        "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES": f'"{events["token"]}"',
        "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALESNOW": f'"{events["token"]}"',
    }
    said = ended.stdout + ended.stderr
    assert [text for text in {*server.values(), *events.values()} - {"root"} if text in said] == []


@pytest.mark.integration
@pytest.mark.parametrize("password", ["a\"b'=#$HOME \\n", '"quoted"', "'quoted'", "# comment"])
def test_server_reads_a_password_whatever_is_in_it(cluster, password):
    login = cluster.vault.secret("minio/server") | {"root_password": password}
    cluster.vault.write("minio/server", **login)
    with cluster.server(VAULT).begin():
        ended = cluster.bootstrap(VAULT)
        assert ended.code == 0, ended.text
        keys = {"access_key": login["root_user"], "secret_key": password}
        (bucket,) = cluster.client_with(keys).list_buckets()["Buckets"]
        assert bucket["Name"] == "sales"


@pytest.mark.integration
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_secret_that_would_set_something_else_is_refused(cluster, end):
    cluster.vault.write("sales/operator-events", token=f"canary{end}MINIO_BROWSER=on")
    ended, file = run_agent(cluster)
    assert ended.returncode != 0
    assert "sales/operator-events: token holds a line break" in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr
    assert not file.exists()


@pytest.mark.integration
def test_server_does_not_start_without_its_key(cluster):
    """It would, and encrypt nothing."""
    login = cluster.vault.secret("minio/server")
    cluster.vault.write("minio/server", **{k: v for k, v in login.items() if k != "kms_key"})
    ended, file = run_agent(cluster)
    assert ended.returncode != 0
    assert "<.Data.data.kms_key>: map has no entry" in ended.stderr
    assert not file.exists()


@pytest.mark.integration
def test_nobody_but_the_charts_account_is_let_in(cluster):
    ended, file = run_agent(cluster, serviceAccountName="default")
    assert ended.returncode != 0
    assert "Code: 403" in ended.stderr
    assert not file.exists()


@pytest.mark.integration
def test_bootstrap_says_where_the_login_is(cluster):
    login = cluster.vault.secret("minio/server")
    with cluster.server(VAULT).begin():
        cluster.vault.write("minio/server", **login | {"root_user": "somebody"})
        ended = cluster.bootstrap(VAULT)
    assert "refuses the root login of Vault's minio/server" in ended.text
