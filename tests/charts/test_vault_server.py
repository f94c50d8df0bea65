"""`charts/vault` against real servers: what its configuration makes of them, and what probes see.

They are OpenBao's. What only HashiCorp's server knows, `disable_mlock`, is read and passed over
here; that its audit device is made by its API is left to the tests of `sales_vault`.
"""

import http.client
import json
import re
import ssl

import hvac
import pytest
import trustme

from tests.charts.support import NAMESPACE
from tests.charts.vault_chart import AUTO_UNSEAL, SELF_INIT, VaultCluster, certificate
from tests.support import kubernetes
from tests.support.kubernetes import REVIEWER, a_token, api_server
from tests.support.services import make_certificates
from tests.support.waiting import until

pytestmark = pytest.mark.integration


def alive_and_ready(server):
    """What the kubelet is told when it asks whether the server is alive, and ready."""
    return server.asked_by("livenessProbe"), server.asked_by("readinessProbe")


def looked_after(server):
    """Wait until its certificate was looked at some times more."""
    enough = server.looks() + 3
    until(lambda: server.looks() >= enough)


def reloads(server):
    """How often the server was told to read its files again."""
    return server.log.read_text("utf-8").count("reload triggered")


def initialised(server, **shares):
    """What a server without data answers when it is given some."""
    with server.client() as client:
        return client.sys.initialize(**shares)


def audited(server):
    """What the audit device has written to the standard output."""
    lines = server.log.read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in entries if entry.get("type") == "response"]


# --- with keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["vault", "openbao"])
def test_server_without_its_keys_is_alive_and_not_ready(tmp_path, distribution):
    cluster = VaultCluster(tmp_path, {"distribution": distribution})
    with cluster.server().begin() as server:
        assert alive_and_ready(server) == (204, 501)
        (key,) = initialised(server, secret_shares=1, secret_threshold=1)["keys_base64"]
        assert alive_and_ready(server) == (204, 503)
        with server.client() as client:
            client.sys.submit_unseal_key(key)
        until(lambda: alive_and_ready(server) == (200, 200))
        server.restart()
        assert alive_and_ready(server) == (204, 503)


def test_plain_http_and_old_tls_are_refused(tmp_path):
    with VaultCluster(tmp_path, {"tls": {"minVersion": "tls13"}}).server().begin() as server:
        plain = http.client.HTTPConnection("localhost", server.port, timeout=5)
        plain.request("GET", "/v1/sys/health")
        assert plain.getresponse().status == 400
        plain.close()
        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        way = http.client.HTTPSConnection("localhost", server.port, timeout=5, context=old)
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            way.request("GET", "/v1/sys/health")


def test_renewed_certificate_is_read_without_sealing_the_server(tmp_path):
    cluster = VaultCluster(tmp_path, AUTO_UNSEAL)
    with cluster.server().begin() as server, server.connection() as way:
        initialised(server, recovery_shares=1, recovery_threshold=1)
        until(lambda: alive_and_ready(server) == (200, 200))
        assert server.asked_on(way, "readinessProbe") == 200
        renewed, open_before = certificate(cluster.ca), way.sock
        assert server.shown() != renewed["tls.crt"]
        server.renew(renewed)
        until(lambda: server.shown() == renewed["tls.crt"])
        assert server.asked_on(way, "readinessProbe") == 200
        assert way.sock is open_before


def test_certificate_is_read_again_only_when_it_has_changed(tmp_path):
    cluster = VaultCluster(tmp_path, {})
    with cluster.server().begin() as server:
        looked_after(server)
        assert reloads(server) == 0
        renewed = certificate(cluster.ca)
        server.renew(renewed)
        until(lambda: server.shown() == renewed["tls.crt"])
        looked_after(server)
        before = reloads(server)
        looked_after(server)
        assert reloads(server) == before > 0


def test_pair_that_is_of_no_use_leaves_the_old_one_in_use(tmp_path):
    """On a server without its keys, too."""
    cluster = VaultCluster(tmp_path, {})
    with cluster.server().begin() as server:
        old, renewed = server.shown(), certificate(cluster.ca)
        server.renew({"tls.crt": renewed["tls.crt"]})
        until(lambda: "private key does not match public key" in server.log.read_text("utf-8"))
        assert (server.shown(), server.asked_by("livenessProbe")) == (old, 204)
        server.renew({"tls.key": renewed["tls.key"]})
        until(lambda: server.shown() == renewed["tls.crt"])


def test_helm_test_says_whether_the_server_is_sealed(tmp_path):
    cluster = VaultCluster(tmp_path, {})
    with cluster.server().begin() as server:
        (key,) = initialised(server, secret_shares=1, secret_threshold=1)["keys_base64"]
        sealed = cluster.helm_test()
        assert sealed.code == 2
        assert re.search(r"^Sealed +true$", sealed.text, re.MULTILINE)
        with server.client() as client:
            client.sys.submit_unseal_key(key)
        assert cluster.helm_test().code == 0
        cluster.authority.write_bytes(trustme.CA().cert_pem.bytes())
        refused = cluster.helm_test()
        assert refused.code == 1
        assert "certificate signed by unknown authority" in refused.text


# --- with a seal --------------------------------------------------------------------------------


def test_each_request_is_logged_and_no_secret_is(tmp_path):
    with VaultCluster(tmp_path, AUTO_UNSEAL).server().begin() as server:
        root = initialised(server, recovery_shares=1, recovery_threshold=1)["root_token"]
        until(lambda: alive_and_ready(server) == (200, 200))
        with server.client(root) as client:
            client.sys.enable_secrets_engine("kv", options={"version": "1"})
            client.secrets.kv.v1.create_or_update_secret(
                "it", {"key": "never-in-the-log"}, mount_point="kv"
            )
        until(lambda: "kv/it" in {entry["request"]["path"] for entry in audited(server)})
        assert not {"never-in-the-log", root} & set(server.log.read_text("utf-8").split('"'))


def test_seal_may_be_configured_where_secrets_are(tmp_path):
    seal = {"existingSecret": "vault-seal", "configKey": "seal.hcl"}
    cluster = VaultCluster(tmp_path, AUTO_UNSEAL | {"seal": seal})
    cluster.secrets["vault-seal"] |= {
        "seal.hcl": 'seal "static" { current_key_id = "1", current_key = "file:///vault/seal/key" }'
    }
    with cluster.server().begin() as server:
        initialised(server, recovery_shares=1, recovery_threshold=1)
        until(lambda: alive_and_ready(server) == (200, 200))


@pytest.mark.slow
def test_servers_find_each_other_and_outlive_the_first(tmp_path):
    """Though none of their certificates names them."""
    cluster = VaultCluster(tmp_path, AUTO_UNSEAL | {"replicas": 3})
    with (
        cluster.server(0).begin() as first,
        cluster.server(1).begin() as second,
        cluster.server(2).begin() as third,
    ):
        root = initialised(first, recovery_shares=1, recovery_threshold=1)["root_token"]
        for server in (first, second, third):
            until(lambda asked=server: alive_and_ready(asked) == (200, 200))
        with second.client(root) as client:
            until(lambda: voters(client) == {"vault-0", "vault-1", "vault-2"})
            first.stop()
            until(lambda: leads_without(client, first.port))
        assert {alive_and_ready(server) for server in (second, third)} == {(200, 200)}


def voters(client):
    """The servers that have a vote; none while there is no leader to ask."""
    try:
        config = client.sys.read_raft_config()["data"]["config"]
    except hvac.exceptions.VaultError:
        return set()
    return {server["node_id"] for server in config["servers"] if server["voter"]}


def leads_without(client, port):
    """Whether another leads than the one that is gone."""
    try:
        leader = client.sys.read_leader_status()
    except hvac.exceptions.VaultError:
        return False
    return leader["leader_cluster_address"] and f":{port}" not in leader["leader_address"]


# --- that initialises itself ----------------------------------------------------------------------


@pytest.fixture
def api(tmp_path, monkeypatch):
    """An API server that vouches for accounts of the release's namespace."""
    monkeypatch.setattr(kubernetes, "NAMESPACE", NAMESPACE)
    folder = tmp_path / "api"
    folder.mkdir()
    certificates = make_certificates(folder)
    with api_server(certificates.certificate, certificates.key) as api:
        yield api, certificates.authority


def beside(api, tmp_path):
    """What stands for the API server in a pod's surroundings: a cluster's are at fixed places."""
    server, authority = api
    reviewer = tmp_path / "reviewer"
    reviewer.write_text(REVIEWER, "utf-8")
    host = "https://kubernetes.default.svc"
    config = {
        "kubernetes_host": server.host,
        "kubernetes_ca_cert": authority.read_text("utf-8"),
        "token_reviewer_jwt": REVIEWER,
    }
    stanza = "\n".join(f"{key} = {json.dumps(text)}" for key, text in config.items())
    return {
        f'{{ kubernetes_host = "{host}" }}': f"{{\n{stanza}\n}}",
        f"host: {host}": f"host: {server.host}\n  caFile: {authority}\n"
        f"  reviewerTokenFile: {reviewer}",
    }


def test_server_that_initialises_itself_lets_the_setup_in_and_nobody_else(tmp_path, api):
    cluster = VaultCluster(tmp_path, SELF_INIT, beside(api, tmp_path))
    with cluster.server().begin() as server:
        until(lambda: alive_and_ready(server) == (200, 200))
        with server.client() as client:
            for stranger in (api[0].issue("sales-pipeline"), a_token("vault-setup")):
                with pytest.raises(hvac.exceptions.VaultError):
                    client.auth.kubernetes.login("vault-setup", stranger)
        token = api[0].issue("vault-setup")
        first = cluster.setup(token)
        assert first.code == 0, first.text
        with server.client() as client:
            client.auth.kubernetes.login("sales-pipeline", api[0].issue("sales-pipeline"))
            found = client.secrets.kv.v2.read_secret_version(
                "sales/object-store", mount_point="kv", raise_on_deleted_version=True
            )
            assert found["data"]["data"]["access_key"] == "sales-pipeline"
        server.restart()
        until(lambda: alive_and_ready(server) == (200, 200))
        again = cluster.setup(token)
        assert again.code == 0, again.text
