"""`charts/minio` with tokens in place of keys: what is rendered, and what a server makes of it."""

import http.client
import json
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from sales_pipeline.demo.ports import free_ports
from tests.charts.minio_cluster import COMPLETING, SERVER
from tests.charts.minio_identity import RUN, IdentityCluster
from tests.charts.platform_chart import SETS, installed
from tests.charts.support import (
    HelmError,
    environ_of,
    named,
    of_kind,
    pod_of,
    policy_for,
    ports_of,
    render,
)
from tests.support.issuer import running_issuer
from tests.support.waiting import until

ON = {"webIdentity": {"enabled": True}}
SET = "MINIO_IDENTITY_OPENID_"
SECRET = f"{SET}CLIENT_SECRET"


@pytest.fixture(scope="module")
def plain():
    return render("minio")


@pytest.fixture(scope="module")
def documents():
    return render("minio", ON)


def statements_of(documents, effect="Allow"):
    data = named(documents, "ConfigMap", "minio-bootstrap")["data"]
    statements = json.loads(data["policy.web-identity"])["Statement"]
    return [statement for statement in statements if statement["Effect"] == effect]


def with_accounts(**accounts):
    """Values with these accounts and not the default's."""
    return {"webIdentity": {"enabled": True, "accounts": {"sales-pipeline": None} | accounts}}


# --- what is rendered ---------------------------------------------------------------------------


def test_by_default_no_token_is_taken(plain):
    pod = pod_of(plain, "StatefulSet")
    assert not [name for name in environ_of(pod.spec["containers"][0]) if name.startswith(SET)]
    assert "initContainers" not in pod.spec
    assert of_kind(plain, "ClusterRoleBinding") == []
    assert "policy.web-identity" not in named(plain, "ConfigMap", "minio-bootstrap")["data"]


def test_server_believes_the_cluster_it_is_in(documents):
    server = container_of_server(documents)
    found = {k: v for k, v in environ_of(server).items() if k.startswith(SET)}
    assert found == {
        f"{SET}CONFIG_URL": "https://kubernetes.default.svc/.well-known/openid-configuration",
        f"{SET}CLIENT_ID": "minio",
        f"{SET}ROLE_POLICY": "web-identity",
    }
    volumes = {v["name"]: v for v in pod_of(documents, "StatefulSet").spec["volumes"]}
    (ca,) = (s["configMap"] for s in volumes["certs"]["projected"]["sources"] if "configMap" in s)
    assert ca == {
        "name": "kube-root-ca.crt",
        "items": [{"key": "ca.crt", "path": "CAs/kubernetes.crt"}],
    }


def container_of_server(documents):
    (server,) = pod_of(documents, "StatefulSet").spec["containers"]
    return server


def test_each_right_is_that_of_one_account(plain, documents):
    """Whoever may make tokens has one for this audience: what is not bound is everybody's."""
    data = named(plain, "ConfigMap", "minio-bootstrap")["data"]
    users = json.loads(data["policy.sales-pipeline"])["Statement"]
    tokens = statements_of(documents)
    bound = [statement["Condition"]["StringEquals"].pop("jwt:sub") for statement in tokens]
    assert bound == [RUN] * len(users)
    for user, token in zip(users, tokens, strict=True):
        del user["Sid"]
        assert token["Condition"].pop("StringEquals") == {}
        assert token == {"Condition": {}} | user


def test_accounts_may_be_of_other_namespaces_and_have_several_policies():
    loader = {"namespace": "elsewhere", "serviceAccount": "loader"}
    policies = ["sales-operator", "sales-pipeline"]
    found = statements_of(render("minio", with_accounts(loader=loader | {"policies": policies})))
    subjects = {statement["Condition"]["StringEquals"]["jwt:sub"] for statement in found}
    assert subjects == {"system:serviceaccount:elsewhere:loader"}
    granted = {action for statement in found for action in statement["Action"]}
    assert granted >= {"s3:PutBucketNotification", "s3:PutObject"}


def test_condition_of_a_policy_is_kept_and_cannot_name_another_account():
    equals = {"s3:prefix": "raw/", "jwt:sub": "system:serviceaccount:other:other"}
    statement = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Condition": {"StringEquals": equals},
    }
    account = {"serviceAccount": "sales-pipeline", "policies": ["mine"]}
    (found,) = statements_of(
        render("minio", with_accounts(mine=account) | {"policies": {"mine": [statement]}})
    )
    assert found["Condition"] == {"StringEquals": {"s3:prefix": "raw/", "jwt:sub": RUN}}


def test_nobody_may_have_more_of_a_token_than_its_life(documents):
    denied = {tuple(statement["Action"]) for statement in statements_of(documents, "Deny")}
    assert denied == {("admin:CreateServiceAccount",), ("sts:AssumeRoleWithWebIdentity",)}


def test_whoever_reads_the_keys_of_the_cluster_reads_nothing_else(documents):
    (binding,) = of_kind(documents, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "system:service-account-issuer-discovery"
    assert [s["name"] for s in binding["subjects"]] == ["system:unauthenticated"]


def test_keys_that_are_public_already_need_no_binding():
    values = {"webIdentity": {"enabled": True, "publishKeys": False}}
    assert of_kind(render("minio", values), "ClusterRoleBinding") == []


def test_server_may_call_the_api_server(plain, documents):
    before, after = (policy_for(d, pod_of(d, "StatefulSet"))["egress"] for d in (plain, documents))
    (rule,) = [rule for rule in after if rule not in before]
    assert (ports_of(rule), "to" in rule) == ({443, 6443}, False)
    peers = [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    policy = {"networkPolicy": {"apiServer": {"peers": peers, "ports": [6443]}}}
    found = render("minio", ON | policy)
    narrow = policy_for(found, pod_of(found, "StatefulSet"))["egress"][-1]
    assert (ports_of(narrow), narrow["to"]) == ({6443}, peers)


@pytest.mark.parametrize("owner", ["Job", "Pod"])
def test_nobody_else_may_call_it(plain, documents, owner):
    before, after = (policy_for(d, pod_of(d, owner)) for d in (plain, documents))
    assert before == after


@pytest.mark.parametrize("vault", [False, True])
def test_settings_are_completed_in_memory_from_where_they_were_before(vault):
    pod = pod_of(render("minio", ON | {"vault": {"enabled": vault}}), "StatefulSet")
    (completing,) = (c for c in pod.containers if c["name"] == COMPLETING)
    given, made = completing["volumeMounts"]
    volumes = {v["name"]: v for v in pod.spec["volumes"]}
    assert volumes[made["name"]]["emptyDir"]["medium"] == "Memory"
    (server,) = pod.spec["containers"]
    (config,) = (m for m in server["volumeMounts"] if m["mountPath"] == "/config")
    assert config == made | {"readOnly": True}
    if vault:
        assert pod.spec["initContainers"][-1] == completing
        assert given["name"] in {m["name"] for m in pod.spec["initContainers"][0]["volumeMounts"]}
    else:
        assert volumes[given["name"]]["secret"]["secretName"] == "minio-server"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (with_accounts(x={"serviceAccount": "x", "policies": []}), "/webIdentity/accounts/x"),
        (with_accounts(x={"policies": ["sales-pipeline"]}), "/webIdentity/accounts/x"),
        (with_accounts(x={"serviceAccount": "*", "policies": ["y"]}), "/webIdentity/accounts/x"),
        (with_accounts(), "/webIdentity/accounts"),
        ({"webIdentity": {"audience": ""}}, "/webIdentity/audience"),
        ({"webIdentity": {"configUrl": "http://k.example"}}, "/webIdentity/configUrl"),
        (
            with_accounts(x={"serviceAccount": "x", "policies": ["y"]}),
            "webIdentity.accounts.x: there is no policy y",
        ),
        (
            ON | {"policies": {"web-identity": [{"Effect": "Allow", "Action": ["s3:GetObject"]}]}},
            "policies.web-identity: the name is taken",
        ),
    ],
)
def test_what_would_let_in_nobody_or_everybody_is_refused(values, words):
    with pytest.raises(HelmError, match=re.escape(words)):
        render("minio", values)


def test_platform_that_knows_runs_by_their_account_has_no_keys_of_theirs():
    """Vault makes none, and nobody may read any."""
    words = ("sales/object-store", "sales-pipeline-object-store", "user.sales-pipeline")
    before, after = (json.dumps(installed(values)) for values in ({}, SETS["web-identity"]))
    assert [word for word in words if word in before] == [words[0], words[2]]
    assert [word for word in words if word in after] == []


# --- a real server ------------------------------------------------------------------------------


def secret_of(cluster):
    """The secret of the server as it was started last."""
    text = (cluster.root / "StatefulSet/config/config.env").read_text()
    assert text.startswith(cluster.secrets[SERVER]["config.env"])
    (secret,) = re.findall(rf"^{SECRET}=(.+)$", text, re.MULTILINE)
    return secret


@pytest.mark.integration
def test_no_two_starts_have_the_same_secret(tmp_path):
    """It is in no Secret, and nobody needs to know or to rotate it."""
    with running_issuer() as issuer:
        cluster = IdentityCluster(tmp_path, issuer)
        secrets = set()
        for _ in range(2):
            cluster.server(cluster.values)
            secrets.add(secret_of(cluster))
    assert {len(secret) for secret in secrets} == {44}
    assert len(secrets) == 2


def health(cluster):
    """What the kubelet is told when it asks whether the server is ready; None: nothing."""
    trust = ssl.create_default_context(cafile=cluster.authority)
    connection = http.client.HTTPSConnection("localhost", cluster.port, timeout=2, context=trust)
    with closing(connection):
        try:
            connection.request("GET", "/minio/health/cluster")
            return connection.getresponse().status
        except OSError:
            return None


@pytest.mark.integration
def test_server_is_not_ready_before_it_knows_the_keys(tmp_path):
    """It asks again until it does, so nobody is refused for an API server that was away."""
    (port,) = free_ports(1)
    with running_issuer(port) as gone:
        pass
    cluster = IdentityCluster(tmp_path, gone)
    server = cluster.server(cluster.values)
    with ThreadPoolExecutor() as beside:
        begun = beside.submit(server.begin)
        try:
            until(lambda: health(cluster) == 503)
            assert not begun.done()
        finally:
            with running_issuer(port, gone.ca):
                begun.result().close()
