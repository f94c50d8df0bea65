"""What `charts/vault` renders: names, the server, its configuration, its certificates."""

import re

import pytest
import yaml

from certs.services import SERVICES
from tests.charts.support import (
    NAMESPACE,
    HelmError,
    container_of,
    named,
    of_kind,
    pod_of,
    pods,
    render,
    secrets_of,
    selects,
)
from tests.charts.vault_chart import (
    AUTO_UNSEAL,
    CHART,
    EVERYTHING,
    SELF_INIT,
    STATIC,
    config_of,
    environ_of,
    made_by,
    plan_of,
)


@pytest.fixture(scope="module")
def default():
    return render("vault")


@pytest.fixture(scope="module")
def everything():
    return render("vault", EVERYTHING)


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request):
    return request.getfixturevalue(request.param)


def metadata_of(documents):
    return [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"tls": {"existingSecret": ""}}, "/tls/existingSecret"),
        ({"tls": {"minVersion": "tls11"}}, "/tls/minVersion"),
        ({"distribution": "consul"}, "/distribution"),
        ({"replicas": 2}, "/replicas"),
        ({"setup": {"mode": "none"}}, "/setup/mode"),
        ({"setup": {"shares": 0}}, "/setup/shares"),
        ({"seal": {"settings": {"token": "x"}}}, "/seal/settings"),
        ({"seal": {"settings": {"access_key": "x"}}}, "/seal/settings"),
        ({"seal": {"settings": {"client_secret": "x"}}}, "/seal/settings"),
        ({"seal": {"settings": {"current_key": "bm8="}}}, "/seal/settings/current_key"),
        ({"seal": {"environment": {"VAULT_TOKEN": "x"}}}, "/seal/environment"),
        ({"seal": {"environment": {"AWS_SECRET_ACCESS_KEY": "x"}}}, "/seal/environment"),
        ({"seal": {"environment": {"HOME": "/root"}}}, "/seal/environment/HOME"),
        ({"seal": {"configKey": "../x.hcl"}}, "/seal/configKey"),
        ({"secrets": {"a/../b": {"x": {"value": "y"}}}}, "a/../b"),
        ({"secrets": {"a": {"x": {"random": {"bytes": 8}}}}}, "/secrets/a/x"),
        ({"secrets": {"a": {"password": "in the clear"}}}, "/secrets/a/password"),
        ({"policies": {"vault-setup": {"kv/*": ["read"]}}}, "vault-setup"),
        ({"policies": {"minio": {"kv/data/x": ["raed"]}}}, "/policies/minio"),
        ({"roles": {"minio": {"ttl": "for ever"}}}, "/roles/minio/ttl"),
        ({"injector": {"tls": {"caBundle": "LS0tLS1CRUdJTg=="}}}, "/injector/tls/caBundle"),
        ({"injector": {"namespaces": ["a", "a"]}}, "/injector/namespaces"),
        ({"networkPolicy": {"clients": [{"pods": {}}]}}, "/networkPolicy/clients/0"),
        ({"securityContext": {"runAsUser": 0}}, "/securityContext/runAsUser"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("vault", values)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name an existing"),
        ({"setup": {"threshold": 6}}, "setup.threshold: must be at most setup.shares"),
        ({"setup": {"mode": "autoUnseal"}}, "setup.mode: autoUnseal needs a seal"),
        (AUTO_UNSEAL | {"setup": {"mode": "dev"}}, "setup.mode: with a seal it is"),
        (SELF_INIT | {"distribution": "vault"}, "setup.mode: only OpenBao does selfInit"),
        (SELF_INIT | {"replicas": 3}, "setup.mode: selfInit would make as many"),
        ({"replicas": 3}, "replicas: more than one need a seal"),
        ({"replicas": 3, "setup": {"enabled": False}}, "replicas: more than one need a seal"),
        ({"seal": {"configKey": "seal.hcl"}}, "seal.existingSecret: name the Secret"),
        ({"seal": STATIC | {"configKey": "seal.hcl"}}, "seal.type: leave it empty"),
        ({"injector": {"tls": {"auto": True}}}, "injector.replicas: must be 1"),
    ],
)
def test_contradictions_are_refused(values, words):
    with pytest.raises(HelmError, match=re.escape(words)):
        render("vault", values)


def test_names_of_files_are_no_secrets():
    files = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/x", "AWS_SHARED_CREDENTIALS_FILE": "/y"}
    found = render("vault", AUTO_UNSEAL | {"seal": STATIC | {"environment": files}})
    assert environ_of(pod_of(found, "StatefulSet")).items() >= files.items()


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("vault", {}, "vault"),
        ("sales-vault", {}, "sales-vault"),
        ("minidata", {}, "minidata-vault"),
        ("minidata", {"fullnameOverride": "keeper"}, "keeper"),
    ],
)
def test_all_objects_are_called_after_the_release(release, values, name):
    found = render("vault", values, release=release)
    whole = {name, f"{name}-{NAMESPACE}"}
    assert all(called == name or called.startswith(f"{name}-") for *_, called in metadata_of(found))
    cluster_wide = {called for _, where, called in metadata_of(found) if where is None}
    assert all(called.startswith(f"{name}-{NAMESPACE}") for called in cluster_wide)
    assert environ_of(pod_of(found, "Pod"))["VAULT_ADDR"] == f"https://{name}.{NAMESPACE}.svc:8200"
    assert whole & cluster_wide


def test_certificate_names_the_service(default):
    (ours,) = (s for s in SERVICES if f"{s.name}-tls" in secrets_of(pod_of(default, "StatefulSet")))
    assert f"{ours.name}.{NAMESPACE}.svc" in ours.names(NAMESPACE)
    for owner in ("Pod/vault-test", "Job/vault-setup"):
        address = [v for k, v in environ_of(made_by(default, owner)).items() if "_ADDR" in k]
        assert address == [f"https://{ours.name}.{NAMESPACE}.svc:8200"]
    assert named(default, "Service", ours.name)


def test_pods_are_known_to_other_charts_by_one_name(documents):
    assert {pod.labels["app.kubernetes.io/name"] for pod in pods(documents)} == {"vault"}


def test_images_are_pinned(default):
    pinned = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    assert {container["image"] for pod in pods(default) for container in pod.containers} == {
        f"docker.io/hashicorp/vault:{pinned}",
        "docker.io/hashicorp/vault-k8s:1.7.6",
        "minidata/sales-vault:0.1.0",
    }


def test_images_may_be_named_by_registry_and_digest(everything):
    images = {pod.owner: pod.containers[0]["image"] for pod in pods(everything)}
    whole = f"registry.example:5000/openbao/openbao:2.7.2@sha256:{'0' * 64}"
    assert images["StatefulSet/vault"] == images["Pod/vault-test"] == whole
    assert images["Job/vault-setup"] == "registry.example:5000/minidata/sales-vault:0.1.0"


# --- the server -----------------------------------------------------------------------------------


def test_probes_ask_over_tls_and_call_who_is_sealed_alive(default):
    server = container_of(default, "StatefulSet")
    kinds = ("startup", "liveness", "readiness")
    probes = [server[f"{kind}Probe"]["httpGet"] for kind in kinds]
    assert {(probe["scheme"], probe["port"]) for probe in probes} == {("HTTPS", "https")}
    startup, liveness, readiness = (probe["path"] for probe in probes)
    assert startup == liveness
    assert {"sealedcode=204", "uninitcode=204"} <= set(re.split("[?&]", liveness))
    assert readiness == "/v1/sys/health"


def test_one_of_many_is_ready_on_standby_too(everything):
    probe = container_of(everything, "StatefulSet")["readinessProbe"]["httpGet"]
    assert probe["path"] == "/v1/sys/health?standbyok=true&perfstandbyok=true"


def test_program_is_started_without_the_images_entry_point(default):
    server = container_of(default, "StatefulSet")
    assert server["command"] == ["sh", "/vault/config/serve.sh"]
    assert server["args"] == ["vault", "server", "-config=/vault/config/server.hcl"]


def test_configuration_is_tls_only_and_has_no_lock_on_memory(default):
    config = config_of(default)
    assert 'tls_cert_file   = "/vault/tls/tls.crt"' in config
    assert 'tls_min_version = "tls12"' in config
    assert "tls_disable" not in config
    assert "disable_mlock = true" in config
    assert "ui           = false" in config


def test_each_distribution_is_told_what_it_alone_knows(everything):
    assert "disable_mlock" not in config_of(everything)
    assert 'audit "file" "stdout"' in config_of(everything)
    assert "audit" not in config_of(render("vault"))


def test_audit_can_be_left_out():
    found = render("vault", AUTO_UNSEAL | {"audit": {"enabled": False}})
    assert "audit" not in config_of(found)
    assert "audit" not in plan_of(found)


def test_server_knows_its_own_name_and_that_of_the_service(everything):
    environ = environ_of(pod_of(everything, "StatefulSet"))
    internal = f"vault-0.vault-internal.{NAMESPACE}.svc"
    assert environ["VAULT_RAFT_NODE_ID"] == "vault-0"
    assert environ["VAULT_CLUSTER_ADDR"] == f"https://{internal}:8201"
    assert f'api_addr     = "https://vault.{NAMESPACE}.svc:8200"' in config_of(everything)


def test_servers_look_for_each_other_by_their_own_names(everything):
    config = config_of(everything)
    joined = re.findall(r'leader_api_addr += "([^"]+)"', config)
    names = [f"vault-{number}.vault-internal.{NAMESPACE}.svc" for number in range(3)]
    assert joined == [f"https://{name}:8200" for name in names]
    assert set(re.findall(r'servername = "([^"]+)"', config)) == {f"vault.{NAMESPACE}.svc"}
    assert "retry_join" not in config_of(render("vault"))


def test_seal_is_in_the_configuration_and_its_files_beside_it(everything):
    assert 'seal "transit" {\n  address = "https://vault.example:8200"' in config_of(everything)
    server = pod_of(everything, "StatefulSet")
    mounts = {m["name"]: m["mountPath"] for m in server.containers[0]["volumeMounts"]}
    assert mounts["seal"] == "/vault/seal"
    credentials = environ_of(server)["AWS_SHARED_CREDENTIALS_FILE"]
    assert credentials == "/vault/seal/credentials"


def test_seal_with_a_secret_is_a_file_of_its_own():
    seal = {"existingSecret": "vault-seal", "configKey": "seal.hcl"}
    found = render("vault", AUTO_UNSEAL | {"seal": seal})
    assert container_of(found, "StatefulSet")["args"][-1] == "-config=/vault/seal/seal.hcl"
    assert "seal" not in config_of(found)


def test_upgrade_restarts_no_server_unless_that_is_wanted(default, everything):
    def strategy(documents):
        return named(documents, "StatefulSet", "vault")["spec"]["updateStrategy"]["type"]

    assert (strategy(default), strategy(everything)) == ("OnDelete", "RollingUpdate")


def test_volumes_outlive_the_release(default):
    spec = named(default, "StatefulSet", "vault")["spec"]
    kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["persistentVolumeClaimRetentionPolicy"] == kept
    (claim,) = spec["volumeClaimTemplates"]
    mounts = {
        m["name"]: m["mountPath"] for m in container_of(default, "StatefulSet")["volumeMounts"]
    }
    assert f'path = "{mounts[claim["metadata"]["name"]]}"' in config_of(default)


def test_servers_find_each_other_sealed_or_not(documents):
    spec = named(documents, "Service", "vault-internal")["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    server = pod_of(documents, "StatefulSet")
    assert selects({"matchLabels": spec["selector"]}, server.labels)
    assert named(documents, "StatefulSet", "vault")["spec"]["serviceName"] == "vault-internal"
    assert named(documents, "StatefulSet", "vault")["spec"]["podManagementPolicy"] == "Parallel"


def test_only_a_single_server_is_asked_while_it_is_sealed(default, everything):
    """Or the setup, which must know it by the name in its certificate, could not reach it."""
    for found, is_single in ((default, True), (everything, False)):
        service = named(found, "Service", "vault")["spec"]
        assert service["publishNotReadyAddresses"] is is_single
        assert service["ports"][0]["port"] == 8200


def test_drained_nodes_leave_enough_servers_to_agree(default, everything):
    def budgets(documents):
        found = of_kind(documents, "PodDisruptionBudget")
        return {b["metadata"]["name"]: b["spec"]["maxUnavailable"] for b in found}

    assert budgets(default) == {"vault-injector": 1}
    assert budgets(everything) == {"vault": 1, "vault-injector": 1}


def test_cert_manager_makes_a_certificate_for_each_server_by_its_own_name(everything):
    certificate = named(everything, "Certificate", "vault")["spec"]
    assert f"*.vault-internal.{NAMESPACE}.svc" in certificate["dnsNames"]


@pytest.mark.parametrize(
    "injector", [{"enabled": False}, {"replicas": 1, "tls": {"auto": True}}], ids=["none", "auto"]
)
def test_cert_manager_makes_none_for_an_injector_that_needs_none(injector):
    found = render("vault", {"tls": {"certManager": {"enabled": True}}, "injector": injector})
    assert [made["metadata"]["name"] for made in of_kind(found, "Certificate")] == ["vault"]
