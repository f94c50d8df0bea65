"""What `charts/operator` renders: names, settings, the custom resource, pods, alerts."""

import re

import pytest
import yaml

from certs.services import SERVICES
from sales_api.names import PIPELINE, PLURAL
from sales_operator.certificate import ends_of
from sales_operator.metrics import REGISTRY
from sales_operator.observed import Outcome
from sales_operator.settings import Settings, Vault, read_settings
from sales_pipeline.settings import read_settings as read_pipeline_settings
from tests.charts.local_pod import LocalPod
from tests.charts.operator_chart import (
    CHART,
    ELSEWHERE,
    EVERYTHING,
    SECRETS,
    metadata_of,
    settings_map,
    settings_of,
)
from tests.charts.support import (
    NAMESPACE,
    HelmError,
    container_of,
    environ_of,
    named,
    of_kind,
    pod_of,
    pods,
    render,
    secrets_of,
    selects,
)


@pytest.fixture(scope="module")
def default():
    return render("operator")


@pytest.fixture(scope="module")
def everything():
    return render("operator", EVERYTHING)


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request):
    return request.getfixturevalue(request.param)


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"tls": {"existingSecret": ""}}, "/tls/existingSecret"),
        ({"events": {"existingSecret": None}}, "/events"),
        ({"events": {"token": "x"}}, "/events"),
        ({"objectStore": {"endpoint": "http://minio:9000"}}, "/objectStore/endpoint"),
        ({"objectStore": {"target": "webhook"}}, "/objectStore/target"),
        ({"watchNamespaces": ["sales/x"]}, "/watchNamespaces/0"),
        ({"watchNamespaces": ["sales", "sales"]}, "/watchNamespaces"),
        ({"instance": "Mine"}, "/instance"),
        ({"workers": 65}, "/workers"),
        ({"resyncSeconds": 1}, "/resyncSeconds"),
        ({"replicas": -1}, "/replicas"),
        ({"database": {"schema": "Sales; --"}}, "/database/schema"),
        ({"credentials": {"mode": "vault"}}, "/credentials/mode"),
        ({"credentials": {"vault": {"kvPath": 'x" }}'}}}, "/credentials/vault/kvPath"),
        ({"credentials": {"vault": {"role": ""}}}, "/credentials/vault/role"),
        ({"pipeline": {"environment": {"AWS_SECRET_ACCESS_KEY": "x"}}}, "AWS_SECRET_ACCESS_KEY"),
        ({"pipeline": {"environment": {"SALES_RUN_REQUEST": "{}"}}}, "SALES_RUN_REQUEST"),
        ({"pipeline": {"environment": {"SALES_DB_PORT": 5432}}}, "/environment/SALES_DB_PORT"),
        ({"pipeline": {"volumes": [{"name": "x", "kind": "Claim", "mountPath": "/x"}]}}, "/kind"),
        ({"networkPolicy": {"apiServer": {"ports": []}}}, "/networkPolicy/apiServer/ports"),
        ({"networkPolicy": {"scrapers": [{"pods": {}}]}}, "/networkPolicy/scrapers/0"),
        ({"securityContext": {"runAsUser": 0}}, "/securityContext/runAsUser"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("operator", values)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name an existing"),
        ({"leadership": {"renewSeconds": 15}}, "leadership.renewSeconds: must be less than"),
    ],
)
def test_contradictions_are_refused(values, words):
    with pytest.raises(HelmError, match=re.escape(words)):
        render("operator", values)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("operator", {}, "operator"),
        ("sales-operator", {}, "sales-operator"),
        ("minidata", {}, "minidata-operator"),
        ("minidata", {"fullnameOverride": "receiver"}, "receiver"),
    ],
)
def test_all_objects_are_called_after_the_release(release, values, name):
    found = render("operator", values, release=release)
    ours = [m for _, _, m in metadata_of(found) if m not in {PIPELINE, f"{PLURAL}.minidata.io"}]
    assert {each.removeprefix(name).split("-")[0] for each in ours} == {""}
    assert environ_of(container_of(found, "Pod"))["RECEIVER"] == f"{name}.{NAMESPACE}.svc:8443"


def test_certificate_names_the_service(default):
    mounted = secrets_of(pod_of(default, "Deployment"))
    (ours,) = (s for s in SERVICES if "tls.key" in mounted.get(f"{s.name}-tls", ()))
    host, _, _ = environ_of(container_of(default, "Pod"))["RECEIVER"].partition(":")
    assert host in ours.names(NAMESPACE)
    assert named(default, "Service", ours.name)


def test_pods_are_known_to_other_charts_by_one_name(documents):
    names = {pod.labels["app.kubernetes.io/name"] for pod in pods(documents)}
    assert names == {"sales-operator"}


def test_images_are_pinned_by_the_chart(default):
    pinned = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    images = {container["image"] for pod in pods(default) for container in pod.containers}
    assert images == {f"minidata/sales-operator:{pinned}"}
    assert settings_of(default).pipeline.image == f"minidata/sales-pipeline:{pinned}"


def test_images_may_be_named_by_registry_and_digest():
    image = {"registry": "registry.example:5000", "digest": f"sha256:{'0' * 64}"}
    found = render("operator", {"image": image, "pipeline": {"image": image}})
    whole = re.compile(rf"registry\.example:5000/minidata/[a-z-]+:[0-9.]+@{image['digest']}")
    ours = [container["image"] for pod in pods(found) for container in pod.containers]
    assert all(whole.fullmatch(i) for i in (*ours, settings_of(found).pipeline.image))


# --- settings -----------------------------------------------------------------------------------


def test_settings_are_what_the_operator_reads_by_default(default):
    found = settings_of(default)
    assert (found.namespace, found.watch_namespaces) == (NAMESPACE, [NAMESPACE])
    assert (found.instance, found.leadership.lease) == ("minidata-operator", "operator")
    assert found.object_store.endpoint == "https://minio.minidata.svc:9000"
    # What the chart doesn't decide otherwise is what the program does by itself.
    of_program = Settings(namespace=NAMESPACE, pipeline=found.pipeline)
    alike = {"resync_seconds", "max_live_jobs", "workers", "receiver"}
    assert found.model_dump(include=alike) == of_program.model_dump(include=alike)


def test_settings_follow_the_values(everything):
    found = settings_of(everything)
    assert found.watch_namespaces == []
    assert (found.instance, found.object_store.endpoint) == ("everything", "https://s3.example")
    assert found.pipeline.image_pull_secrets == ["registry"]
    assert found.pipeline.image.startswith("registry.example:5000/")


def test_watched_namespaces_take_the_place_of_the_releases_own():
    assert settings_of(render("operator", ELSEWHERE)).watch_namespaces == ["sales", "returns"]


@pytest.mark.parametrize("end", [8, 40])
def test_two_installations_differ_however_long_their_names_are(end):
    """A notification rule holds 40 characters, the namespace and the full name have 81."""
    names = [f"{'x' * (end - 1)}{last}" for last in "ab"]
    found = [settings_of(render("operator", {"fullnameOverride": name})) for name in names]
    assert len({each.instance for each in found}) == 2


def test_all_files_that_the_settings_name_are_mounted(default, tmp_path):
    """And the program itself can read the file where the arguments say it is."""
    files = {name: dict.fromkeys(keys, "x") for name, keys in SECRETS.items()}
    files |= {"minidata-ca": {"ca.crt": "x"}, "kube-root-ca.crt": {"ca.crt": "x"}}
    files["operator"] = settings_map(default)["data"]
    pod = LocalPod.make(pod_of(default, "Deployment"), tmp_path, files, {})
    assert pod.argv[:2] == ["run", "--settings"]
    found = read_settings(tmp_path / pod.argv[2])
    store, receiver = found.object_store, found.receiver
    keys = [store.credentials / key for key in ("access_key", "secret_key")]
    for path in (*keys, store.ca_file, receiver.certificate, receiver.key, receiver.token):
        assert (tmp_path / path.relative_to("/")).is_file()


@pytest.mark.parametrize("there", [(), ("minio-tls", "vault-tls")])
def test_certificates_that_there_are_lie_where_the_operator_looks_for_them(
    default, tmp_path, there
):
    """Those of Secrets that are missing don't keep the pod from starting."""
    files = {name: dict.fromkeys(keys, "x") for name, keys in SECRETS.items()}
    files |= {"minidata-ca": {"ca.crt": "x"}, "kube-root-ca.crt": {"ca.crt": "x"}}
    files["operator"] = settings_map(default)["data"]
    files |= {name: {"tls.crt": "x", "tls.key": "x"} for name in there}
    LocalPod.make(pod_of(default, "Deployment"), tmp_path, files, {})
    folder = tmp_path / settings_of(default).receiver.certificates.relative_to("/")
    assert ends_of(folder).keys() == {"minidata-ca", *there}
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"tls.crt"}


def test_runs_are_given_settings_that_the_pipeline_takes(documents):
    pipeline = settings_of(documents).pipeline
    found = read_pipeline_settings(pipeline.environment)
    assert (found.db_name, found.db_schema, found.db_sslmode) == ("sales", "sales", "verify-full")
    mounts = {volume.mount_path: (volume.kind, volume.name) for volume in pipeline.volumes}
    assert mounts["/ca"] == ("ConfigMap", "minidata-ca")
    assert str(found.s3_ca_file) == str(found.db_ssl_root_cert) == "/ca/ca.crt"


def secrets_of_runs(documents):
    volumes = settings_of(documents).pipeline.volumes
    return {v.mount_path: v.name for v in volumes if v.kind == "Secret"}


def test_runs_mount_the_credentials_that_there_are(default):
    three = ("database", "object-store", "pseudonym")
    wanted = {f"/vault/secrets/{name}": f"sales-pipeline-{name}" for name in three}
    assert secrets_of_runs(default) == wanted
    without = render("operator", {"pipeline": {"secrets": {"pseudonym": ""}}})
    assert wanted.keys() - secrets_of_runs(without).keys() == {"/vault/secrets/pseudonym"}
    assert settings_of(default).pipeline.vault is None


@pytest.mark.parametrize("mode", ["agent", "direct"])
def test_one_value_has_vault_keep_the_credentials(mode):
    found = render("operator", {"credentials": {"mode": mode}})
    assert secrets_of_runs(found) == {}
    pipeline = settings_of(found).pipeline
    assert pipeline.vault == Vault(mode=mode, address="https://vault.minidata.svc:8200")
    assert pipeline.environment["SALES_VAULT_CA_FILE"] == "/ca/ca.crt"


def test_what_lies_where_in_vault_follows_the_values(everything):
    assert settings_of(everything).pipeline.vault == Vault(
        mode="agent",
        address="https://vault.example:8200",
        role="loader",
        auth_path="clusters/one",
        kv_mount="secret",
        kv_path="team/sales",
        database_path="warehouse/creds/loader",
    )


def test_without_vault_runs_are_told_nothing_of_it(default):
    assert "vault" not in str(settings_of(default).pipeline.environment).lower()


def test_settings_of_runs_may_be_others_than_the_values_make(everything):
    environment = settings_of(everything).pipeline.environment
    assert environment["SALES_S3_REGION"] == "eu-central-1"
    assert environment["SALES_BLOCK_BYTES"] == "1048576"


def checksum(values):
    pod = pod_of(render("operator", values), "Deployment")
    return pod.metadata["annotations"]["checksum/config"]


def test_other_settings_are_a_rollout_and_nothing_else_is():
    assert checksum({"workers": 4}) != checksum({})
    assert checksum({"replicas": 1, "serviceMonitor": {"enabled": True}}) == checksum({})


# --- the custom resource --------------------------------------------------------------------------


def test_custom_resource_is_the_generated_one_to_the_letter(documents):
    generated = yaml.safe_load((CHART / "files/crds/salesingests.yaml").read_text("utf-8"))
    (found,) = of_kind(documents, "CustomResourceDefinition")
    assert found["metadata"]["name"] == generated["metadata"]["name"] == f"{PLURAL}.minidata.io"
    # As text, where 1 and 1.0 differ.
    assert yaml.safe_dump(found["spec"]) == yaml.safe_dump(generated["spec"])
    added = generated["metadata"].get("annotations", {})
    assert found["metadata"].get("annotations", {}).items() >= added.items()


def test_custom_resource_outlives_the_release_unless_that_is_not_wanted(default, everything):
    def annotations(documents):
        (found,) = of_kind(documents, "CustomResourceDefinition")
        return found["metadata"].get("annotations", {})

    assert annotations(default)["helm.sh/resource-policy"] == "keep"
    assert "helm.sh/resource-policy" not in annotations(everything)


def test_custom_resource_can_be_left_to_another_release():
    found = render("operator", {"crds": {"enabled": False}})
    assert of_kind(found, "CustomResourceDefinition") == []


# --- the operator's pods --------------------------------------------------------------------------


def test_probes_ask_over_tls_and_not_for_leadership(default):
    operator = container_of(default, "Deployment")
    kinds = ("startup", "liveness", "readiness")
    probes = [operator[f"{kind}Probe"]["httpGet"] for kind in kinds]
    assert [probe["path"] for probe in probes] == ["/healthz", "/healthz", "/readyz"]
    assert {(probe["scheme"], probe["port"]) for probe in probes} == {("HTTPS", "https")}


def test_service_leads_to_the_receiver(documents):
    operator = pod_of(documents, "Deployment")
    (service,) = of_kind(documents, "Service")
    assert selects({"matchLabels": service["spec"]["selector"]}, operator.labels)
    (port,) = service["spec"]["ports"]
    listening = settings_of(documents).receiver.port
    (container,) = operator.spec["containers"]
    assert container["ports"] == [{"name": port["targetPort"], "containerPort": listening}]
    assert port["port"] == listening


def test_one_replica_hears_events_whatever_is_drained_or_rolled(default):
    spec = named(default, "Deployment", "operator")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    (budget,) = of_kind(default, "PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1
    assert selects(budget["spec"]["selector"], pod_of(default, "Deployment").labels)


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_single_replica_does_not_keep_its_node_from_being_drained(replicas):
    assert of_kind(render("operator", {"replicas": replicas}), "PodDisruptionBudget") == []


def test_replicas_are_spread_over_nodes_as_far_as_there_are_any(documents):
    operator = pod_of(documents, "Deployment")
    (spread,) = operator.spec["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert selects(spread["labelSelector"], operator.labels)


# --- monitoring -----------------------------------------------------------------------------------


def test_metrics_are_scraped_over_tls_that_is_verified(everything):
    (monitor,) = of_kind(everything, "ServiceMonitor")
    (service,) = of_kind(everything, "Service")
    assert selects(monitor["spec"]["selector"], service["metadata"]["labels"])
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {
        "serverName": "operator.minidata.svc",
        "ca": {"configMap": {"name": "minidata-ca", "key": "ca.crt"}},
    }


def alerts(documents):
    (rule,) = of_kind(documents, "PrometheusRule")
    return {one["alert"]: one for group in rule["spec"]["groups"] for one in group["rules"]}


def test_alerts_ask_for_metrics_that_there_are(everything):
    wanted = {
        name
        for alert in alerts(everything).values()
        for name in re.findall(r"sales_operator_\w+", alert["expr"])
    }
    there = {f"{m.name}_total" if m.type == "counter" else m.name for m in REGISTRY.collect()}
    # The receiver shows this one while it serves.
    assert wanted - there == {"sales_operator_certificate_expiry_timestamp_seconds"}
    assert len(wanted) == len(alerts(everything))


def test_runs_that_fail_are_those_that_no_file_is_to_blame_for(everything):
    (blameless,) = re.findall(r'outcome!~"([^"]+)"', alerts(everything)["SalesRunsFail"]["expr"])
    assert set(blameless.split("|")) == {Outcome.SUCCEEDED, Outcome.QUARANTINED}


def test_alerts_are_about_this_release_and_described(everything):
    readme = (CHART / "README.md").read_text("utf-8")
    for name, alert in alerts(everything).items():
        assert '{namespace="minidata",service="operator"' in alert["expr"]
        assert f"| `{name}` |" in readme


def test_without_a_prometheus_operator_nothing_needs_one(default):
    assert {d["apiVersion"] for d in default if "monitoring" in d["apiVersion"]} == set()
