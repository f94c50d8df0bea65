"""What `charts/minio` renders; what comes of that, test_minio_server.py and a cluster show."""

import copy
import re

import pytest
import yaml

from tests.charts import support
from tests.charts.support import (
    CHARTS,
    HelmError,
    container_of,
    environ_of,
    named,
    of_kind,
    pod_of,
    pods,
    policy_for,
    ports_of,
    render,
    secrets_of,
    selects,
)

CHART = CHARTS / "minio"
EVERYTHING = yaml.safe_load((CHART / "ci/everything-values.yaml").read_text("utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
WEBHOOK = {"enabled": True, "endpoint": "https://receiver.example:8443/events"}
BOTH = {"prefix": "", "expireAfterDays": 1, "removeDeleteMarkers": True}
"""What one rule of a lifecycle cannot say."""
BUCKET_ARN = re.compile(r"arn:aws:s3:::[^/]+")


@pytest.fixture(scope="module")
def default():
    return render("minio")


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request, default):
    return default if request.param == "default" else render("minio", EVERYTHING)


def test_a_machine_without_helm_is_told_where_it_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIDATA_HELM", raising=False)
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match=rf"no helm at \$MINIDATA_HELM .*{tmp_path}/bin/helm"):
        render("minio")


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"tls": {"existingSecret": ""}}, "/tls/existingSecret"),
        ({"config": {"existingSecret": None}}, "/config"),
        ({"webhook": {"enabled": True}}, "/webhook/endpoint"),
        ({"webhook": WEBHOOK | {"endpoint": "http://receiver.example"}}, "/webhook/endpoint"),
        ({"webhook": WEBHOOK | {"queueDir": "/tmp/queue"}}, "/webhook/queueDir"),
        ({"users": {"x": {"existingSecret": "x", "policy": ["x"]}}}, "/users/x"),
        ({"policies": {"x": [{"Effect": "allow", "Action": ["s3:*"]}]}}, "/policies/x/0/Effect"),
        ({"buckets": {"X": {}}}, "/buckets"),
        ({"buckets": {"sales": {"lifecycle": {"x": {"prefix": ""}}}}}, "/lifecycle/x"),
        ({"buckets": {"sales": {"lifecycle": {"x": BOTH}}}}, "/lifecycle/x"),
        ({"securityContext": {"runAsUser": 0}}, "/securityContext/runAsUser"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("minio", values)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"test": {"writer": "nobody"}}, "users.nobody: no such user"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name an existing"),
    ],
)
def test_contradictions_are_refused(values, words):
    with pytest.raises(HelmError, match=re.escape(words)):
        render("minio", values)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("minio", {}, "minio"),
        ("my-minio", {}, "my-minio"),
        ("store", {}, "store-minio"),
        ("store", {"fullnameOverride": "objects"}, "objects"),
    ],
)
def test_all_objects_are_called_after_the_release(release, values, name):
    found = render("minio", values, release=release)
    assert {d["metadata"]["name"].removeprefix(name).split("-")[0] for d in found} == {""}
    urls = [environ_of(container_of(found, kind))["MINIO_URL"] for kind in ("Job", "Pod")]
    assert set(urls) == {f"https://{name}.{support.NAMESPACE}.svc:9000"}


def test_image_is_one_for_all_and_may_be_named_by_digest():
    image = {"registry": "registry.example:5000", "tag": "1", "digest": f"sha256:{'0' * 64}"}
    found = render("minio", {"image": image})
    images = {container["image"] for pod in pods(found) for container in pod.containers}
    assert images == {f"registry.example:5000/pgsty/silo:1@{image['digest']}"}


def test_image_is_pinned_by_the_chart(default):
    pinned = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    images = {container["image"] for pod in pods(default) for container in pod.containers}
    assert images == {f"docker.io/pgsty/silo:{pinned}"}


# --- the server ---------------------------------------------------------------------------------


def test_server_is_started_by_the_image_over_tls_only(default):
    server = container_of(default, "StatefulSet")
    assert "command" not in server
    assert server["args"] == ["server", "/data", "--address", ":9000", "--certs-dir", "/certs"]
    environ = environ_of(server)
    assert environ["MINIO_BROWSER"] == "off"
    assert environ["MINIO_PROMETHEUS_AUTH_TYPE"] == "jwt"
    assert not [name for name in environ if "WEBHOOK" in name]


def test_server_does_not_start_without_a_certificate(default):
    """One volume of named keys, none optional: MinIO itself would fall back to plain HTTP."""
    volumes = {v["name"]: v for v in pod_of(default, "StatefulSet").spec["volumes"]}
    (source,) = volumes["certs"]["projected"]["sources"]
    paths = {item["key"]: item["path"] for item in source["secret"]["items"]}
    assert paths == {"tls.crt": "public.crt", "tls.key": "private.key", "ca.crt": "CAs/ca.crt"}
    assert "optional" not in str(volumes)


def test_probes_tell_the_truth_over_tls(default):
    server = container_of(default, "StatefulSet")
    probes = {kind: server[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness")}
    assert {probe["path"] for probe in probes.values()} == {"/minio/health/live"}
    ready = server["readinessProbe"]["httpGet"]
    assert ready["path"] == "/minio/health/cluster"
    assert {p["scheme"] for p in (*probes.values(), ready)} == {"HTTPS"}


def test_events_are_on_the_drive_before_an_upload_is_answered():
    environ = environ_of(container_of(render("minio", {"webhook": WEBHOOK}), "StatefulSet"))
    assert environ["MINIO_API_SYNC_EVENTS"] == "on"
    webhook = {k: v for k, v in environ.items() if k.startswith("MINIO_NOTIFY_WEBHOOK_")}
    assert webhook == {
        "MINIO_NOTIFY_WEBHOOK_ENABLE_SALES": "on",
        "MINIO_NOTIFY_WEBHOOK_ENDPOINT_SALES": WEBHOOK["endpoint"],
        "MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_SALES": "/data/.webhook-queue",
        "MINIO_NOTIFY_WEBHOOK_QUEUE_LIMIT_SALES": "100000",
        "MINIO_NOTIFY_WEBHOOK_ENABLE_SALESNOW": "on",
        "MINIO_NOTIFY_WEBHOOK_ENDPOINT_SALESNOW": WEBHOOK["endpoint"],
    }


def test_who_cannot_have_uploads_wait_does_without_the_quick_target():
    webhook = WEBHOOK | {"quick": False}
    environ = environ_of(container_of(render("minio", {"webhook": webhook}), "StatefulSet"))
    assert not [name for name in environ if name.endswith("_SALESNOW")]


def test_drive_is_claimed_and_outlives_the_release(default):
    spec = named(default, "StatefulSet", "minio")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_drive_may_be_an_existing_claim():
    found = render("minio", {"persistence": {"existingClaim": "mine"}})
    assert "volumeClaimTemplates" not in named(found, "StatefulSet", "minio")["spec"]
    volumes = pod_of(found, "StatefulSet").spec["volumes"]
    claims = [v["persistentVolumeClaim"]["claimName"] for v in volumes if v["name"] == "data"]
    assert claims == ["mine"]


def test_services_lead_to_the_server(documents):
    server = pod_of(documents, "StatefulSet")
    ports = {port["name"] for port in server.spec["containers"][0]["ports"]}
    services = of_kind(documents, "Service")
    assert len(services) == 2
    for service in services:
        assert service["spec"]["selector"].items() <= server.labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


# --- secrets ------------------------------------------------------------------------------------


def test_each_pod_mounts_the_named_secrets_and_no_key_more():
    users = copy.deepcopy(DEFAULTS["users"])
    users["sales-pipeline"]["existingSecret"] = "p"
    users["sales-operator"]["existingSecret"] = "o"
    values = {"config": {"existingSecret": "c"}, "tls": {"existingSecret": "t"}, "users": users}
    found = render("minio", values)
    keys = {"access_key", "secret_key"}
    assert {kind: secrets_of(pod_of(found, kind)) for kind in ("StatefulSet", "Job", "Pod")} == {
        "StatefulSet": {"c": {"config.env"}, "t": {"tls.crt", "tls.key", "ca.crt"}},
        "Job": {"c": {"config.env"}, "t": {"ca.crt"}, "p": keys, "o": keys},
        "Pod": {"t": {"ca.crt"}, "p": keys, "o": keys},
    }


def test_what_mc_writes_down_stays_in_memory(default):
    for kind in ("Job", "Pod"):
        folders = [v["emptyDir"] for v in pod_of(default, kind).spec["volumes"] if "emptyDir" in v]
        assert {folder["medium"] for folder in folders} == {"Memory"}


# --- bootstrap and rights -----------------------------------------------------------------------


def checksum(values):
    return pod_of(render("minio", values), "Job").metadata["annotations"]["checksum/config"]


def test_checksum_follows_the_configuration_and_nothing_else():
    changed = {"users": {"sales-operator": {"policies": ["sales-pipeline"]}}}
    assert checksum(changed) != checksum({})
    assert checksum({"resources": {"limits": {"memory": "3Gi"}}}) == checksum({})


def plain_job(**values):
    (job,) = of_kind(render("minio", {"bootstrap": {"hook": False}} | values), "Job")
    return job


def test_without_hooks_another_configuration_is_another_job():
    """A Job cannot be changed: the same name may only ever stand for the same content."""
    job, same, other = plain_job(), plain_job(), plain_job(image={"tag": "other"})
    assert "annotations" not in job["metadata"]
    assert job == same
    assert job["metadata"]["name"] != other["metadata"]["name"]


def test_bootstrap_can_be_left_out():
    found = render("minio", {"bootstrap": {"enabled": False}})
    assert of_kind(found, "Job") == []
    assert [d["metadata"]["name"] for d in of_kind(found, "ConfigMap")] == ["minio-test"]


def test_a_default_user_can_be_left_out():
    values = {"users": {"sales-operator": None}, "test": {"observer": ""}}
    found = render("minio", values)
    assert "user.sales-operator" not in named(found, "ConfigMap", "minio-bootstrap")["data"]
    assert "sales-operator-object-store" not in secrets_of(pod_of(found, "Job"))


def test_statements_about_buckets_name_the_bare_bucket():
    """`sales/*` does not cover `sales` (SN-2026-004), and the other way round."""
    for statements in DEFAULTS["policies"].values():
        for statement in statements:
            about_buckets = all("Bucket" in action for action in statement["Action"])
            bare = [bool(BUCKET_ARN.fullmatch(arn)) for arn in statement["Resource"]]
            assert set(bare) == {about_buckets}, statement["Sid"]


# --- network ------------------------------------------------------------------------------------


def lets_in(rule, labels):
    return any(selects(peer["podSelector"], labels) for peer in rule["from"])


def test_server_lets_in_its_clients_at_its_ports(documents):
    server = pod_of(documents, "StatefulSet")
    (rule,) = policy_for(documents, server)["ingress"]
    ports = server.spec["containers"][0]["ports"]
    assert ports_of(rule) == {port["containerPort"] for port in ports}
    clients = [{"app.kubernetes.io/name": f"sales-{part}"} for part in ("pipeline", "operator")]
    ours = [pod_of(documents, kind).labels for kind in ("Job", "Pod")]
    assert all(lets_in(rule, labels) for labels in (*clients, *ours))
    assert not lets_in(rule, {"app.kubernetes.io/name": "metabase"})


def test_server_may_call_dns_only(default):
    egress = policy_for(default, pod_of(default, "StatefulSet"))["egress"]
    assert [ports_of(rule) for rule in egress] == [{53}]


def test_server_may_call_the_receiver_of_events():
    found = render("minio", {"webhook": WEBHOOK, "networkPolicy": {"webhookPort": 9443}})
    _, rule = policy_for(found, pod_of(found, "StatefulSet"))["egress"]
    assert ports_of(rule) == {9443}
    assert selects(rule["to"][0]["podSelector"], {"app.kubernetes.io/name": "sales-operator"})


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_scripts_may_call_the_server_and_be_called_by_nobody(documents, kind):
    spec = policy_for(documents, pod_of(documents, kind))
    assert "Ingress" in spec["policyTypes"]
    assert "ingress" not in spec
    dns, server, *_ = spec["egress"]
    assert (ports_of(dns), ports_of(server)) == ({53}, {9000})
    labels = pod_of(documents, "StatefulSet").labels
    assert selects(server["to"][0]["podSelector"], labels)
