"""`charts/minio` with a key that KES keeps: what is rendered, and what a real server does then."""

import pytest
import trustme

from sales_pipeline.demo.ports import free_ports
from sales_pipeline.errors import TemporaryError
from tests.charts.kes import Keys, kes
from tests.charts.minio_cluster import PIPELINE, SERVER, MinioCluster, certificate, config_env
from tests.charts.support import (
    HelmError,
    container_of,
    environ_of,
    named,
    pod_of,
    policy_for,
    ports_of,
    render,
    secrets_of,
    selects,
)

KES = {"enabled": True, "endpoint": "https://kes.minidata.svc:7373"}
CLIENT = "minio-kes-client"
SET = "MINIO_KMS_KES_"


@pytest.fixture(scope="module")
def documents():
    return render("minio", {"kes": KES})


def settings_of(documents):
    environ = environ_of(container_of(documents, "StatefulSet"))
    return {name: value for name, value in environ.items() if name.startswith(SET)}


# --- what is rendered ---------------------------------------------------------------------------


def test_by_default_nothing_is_asked_of_kes():
    found = render("minio")
    assert settings_of(found) == {}
    assert CLIENT not in secrets_of(pod_of(found, "StatefulSet"))


def test_server_finds_all_that_it_needs_to_ask(documents):
    found = settings_of(documents)
    assert found[f"{SET}ENDPOINT"] == KES["endpoint"]
    assert found[f"{SET}KEY_NAME"] == "minidata"
    keys = {"tls.crt", "tls.key", "ca.crt"}
    assert secrets_of(pod_of(documents, "StatefulSet"))[CLIENT] == keys
    paths = {name: found[f"{SET}{name}"] for name in ("CERT_FILE", "KEY_FILE", "CAPATH")}
    (mount,) = (
        m for m in container_of(documents, "StatefulSet")["volumeMounts"] if m["name"] == "kes"
    )
    assert {path.rpartition("/")[0] for path in paths.values()} == {mount["mountPath"]}


@pytest.mark.parametrize("owner", ["Job", "Pod"])
def test_nobody_else_may_ask(documents, owner):
    assert CLIENT not in secrets_of(pod_of(documents, owner))


def test_key_of_the_servers_own_is_not_read_from_vault_too():
    """A server that finds both does not start."""
    for enabled in (True, False):
        found = render("minio", {"vault": {"enabled": True}, "kes": KES | {"enabled": enabled}})
        config = named(found, "ConfigMap", "minio-vault-agent")["data"]["server.hcl"]
        assert ("kms_key" in config) is not enabled


def test_server_may_call_kes(documents):
    peers = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "kes"}}}]
    policy = {"networkPolicy": {"kes": {"peers": peers, "ports": [7373]}}}
    found = render("minio", {"kes": KES} | policy)
    _, rule = policy_for(found, pod_of(found, "StatefulSet"))["egress"]
    assert ports_of(rule) == {7373}
    assert selects(rule["to"][0]["podSelector"], {"app.kubernetes.io/name": "kes"})
    _, anywhere = policy_for(documents, pod_of(documents, "StatefulSet"))["egress"]
    assert "to" not in anywhere


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"enabled": True}, "/kes/endpoint"),
        (KES | {"endpoint": "http://kes:7373"}, "/kes/endpoint"),
        (KES | {"keyName": ""}, "/kes/keyName"),
        (KES | {"existingSecret": ""}, "/kes/existingSecret"),
        (KES | {"apiKey": "x"}, "apiKey"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("minio", {"kes": values})
    assert place in str(refused.value)


# --- a real server ------------------------------------------------------------------------------


class KesCluster(MinioCluster):
    """One whose server has no key of its own, and where to ask for one."""

    def __init__(self, root):
        super().__init__(root)
        self.kes_port = free_ports(1)[0]
        self.keys = Keys("minidata")
        self.values = {"kes": KES | {"endpoint": f"https://localhost:{self.kes_port}"}}
        ca = trustme.CA()
        self.kes_tls = certificate(ca)
        client = ca.issue_cert("client", common_name="the server")
        self.secrets[SERVER] = {"config.env": config_env(MINIO_KMS_SECRET_KEY=None)}
        self.secrets[CLIENT] = {
            "tls.crt": client.cert_chain_pems[0].bytes().decode(),
            "tls.key": client.private_key_pem.bytes().decode(),
            "ca.crt": self.kes_tls["ca.crt"],
        }

    def kes(self):
        """The stand-in, for as long as a block runs."""
        return kes(self.keys, self.kes_port, self.kes_tls, self.root / "kes")


@pytest.fixture
def cluster(tmp_path):
    return KesCluster(tmp_path)


@pytest.mark.integration
def test_objects_are_encrypted_by_a_key_that_kes_keeps(cluster):
    """Also after a restart, when the server has forgotten what it was told."""
    key = {"Bucket": "sales", "Key": "processed/a"}
    with cluster.kes():
        with cluster.server(cluster.values).begin():
            ended = cluster.bootstrap(cluster.values)
            assert ended.code == 0, ended.text
            put = cluster.client(PIPELINE).put_object(**key, Body=b"a")
            assert put["ServerSideEncryption"] == "AES256"
        with cluster.server(cluster.values).begin():
            assert cluster.client(PIPELINE).get_object(**key)["Body"].read() == b"a"
    assert {"generate/minidata by the server", "decrypt/minidata by the server"} == {
        *cluster.keys.asked
    }


def with_a_key_of_its_own(cluster):
    cluster.secrets[SERVER] = {"config.env": config_env()}


def with_a_key_that_is_not_there(cluster):
    cluster.keys.name = "other"


def with_a_certificate_of_another_ca(cluster):
    pair = certificate(trustme.CA())
    cluster.secrets[CLIENT] |= {key: pair[key] for key in ("tls.crt", "tls.key")}


def with_trust_in_another_ca(cluster):
    cluster.secrets[CLIENT]["ca.crt"] = certificate(trustme.CA())["ca.crt"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_a_key_of_its_own, "KES and static KMS key is present"),
        (with_a_key_that_is_not_there, "no such key"),
        (with_a_certificate_of_another_ca, "unknown certificate authority"),
        (with_trust_in_another_ca, "signed by unknown authority"),
    ],
)
def test_server_does_not_start(cluster, change, words):
    """Rather than encrypt by a key that nobody expects, or by none."""
    change(cluster)
    with cluster.kes(), pytest.raises(TemporaryError) as refused:
        cluster.server(cluster.values).begin()
    assert words in str(refused.value)
