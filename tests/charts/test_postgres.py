"""What `charts/postgres` renders: the server."""

import re

import pytest
import yaml

from tests.charts.postgres_chart import (
    CHART,
    EVERYTHING,
    LOADER,
    config_of,
    container_of,
)
from tests.charts.support import HelmError, environ_of, named, of_kind, pod_of, pods, render


@pytest.fixture(scope="module")
def default():
    return render("postgres")


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request, default):
    return default if request.param == "default" else render("postgres", EVERYTHING)


def settings_of(documents):
    """What the server's command line sets."""
    arguments = container_of(documents, "postgres")["args"]
    assert arguments[0] == "postgres"
    assert set(arguments[1::2]) == {"-c"}
    return dict(argument.split("=", 1) for argument in arguments[2::2])


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"superuser": {"existingSecret": ""}}, "/superuser/existingSecret"),
        ({"superuser": {"password": "x"}}, "/superuser"),
        ({"tls": {"existingSecret": None}}, "/tls"),
        ({"tls": {"minProtocolVersion": "TLSv1.1"}}, "/tls/minProtocolVersion"),
        ({"ca": {"configMap": ""}}, "/ca/configMap"),
        ({"database": {"name": "Sales; --"}}, "/database/name"),
        ({"database": {"existingSecret": "Owner"}}, "/database/existingSecret"),
        ({"logins": [{"memberOf": ["etl_loader"]}]}, "existingSecret"),
        ({"logins": [LOADER | {"memberOf": ["postgres"]}]}, "/logins/0/memberOf/0"),
        ({"logins": [LOADER | {"memberOf": []}]}, "/logins/0/memberOf"),
        ({"logins": [LOADER | {"connectionLimit": 0}]}, "/logins/0/connectionLimit"),
        ({"parameters": {"ssl": "off"}}, "/parameters/ssl"),
        ({"parameters": {"hba_file": "/tmp/hba"}}, "/parameters/hba_file"),
        ({"parameters": {"work_mem": 16}}, "/parameters/work_mem"),
        ({"parameters": {"work_mem": "1MB\nssl = off"}}, "/parameters/work_mem"),
        ({"parameters": {"work_mem = 1\nssl": "off"}}, "/parameters"),
        ({"terminationGracePeriodSeconds": 30}, "/terminationGracePeriodSeconds"),
    ],
)
def test_schema_refuses(values, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render("postgres", values)
    assert place in str(refused.value)


def test_schema_knows_each_setting_that_the_command_line_fixes(default):
    for name in settings_of(default):
        with pytest.raises(HelmError, match=f"/parameters/{name}"):
            render("postgres", {"parameters": {name: "x"}})


def test_a_service_account_of_others_must_be_named():
    with pytest.raises(HelmError, match=re.escape("serviceAccount.name: name an existing")):
        render("postgres", {"serviceAccount": {"create": False}})


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("postgres", {}, "postgres"),
        ("my-postgres", {}, "my-postgres"),
        ("store", {}, "store-postgres"),
        ("store", {"fullnameOverride": "warehouse"}, "warehouse"),
    ],
)
def test_all_objects_are_called_after_the_release(release, values, name):
    found = render("postgres", values, release=release)
    assert {d["metadata"]["name"].removeprefix(name).split("-")[0] for d in found} == {""}
    hosts = {environ_of(container_of(found, c))["PGHOST"] for c in ("roles", "test")}
    assert hosts == {name, environ_of(container_of(found, "migrate"))["SALES_DB_HOST"]}


def test_images_are_pinned(default):
    pinned = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"]
    ours = {c["image"] for pod in pods(default) for c in pod.containers if c["name"] != "migrate"}
    assert ours == {f"docker.io/library/postgres:{pinned}"}
    assert container_of(default, "migrate")["image"] == "minidata/sales-pipeline:0.1.0"


def test_images_may_be_named_by_registry_and_digest():
    image = {"registry": "registry.example:5000", "digest": f"sha256:{'0' * 64}"}
    found = render("postgres", {"image": image, "bootstrap": {"image": image}})
    whole = re.compile(rf"registry\.example:5000/[a-z/-]+:[0-9.]+@{image['digest']}")
    assert all(whole.fullmatch(c["image"]) for pod in pods(found) for c in pod.containers)


# --- who comes in how -----------------------------------------------------------------------------


def hba_rules(documents):
    lines = config_of(documents)["pg_hba.conf"].splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def test_nobody_comes_in_without_a_password_nor_over_the_network_without_tls(documents):
    """First match counts: whatever is not TLS ends at the last line, and nothing is trusted."""
    assert hba_rules(documents) == [
        ["local", "all", "all", "scram-sha-256"],
        ["hostssl", "all", "all", "all", "scram-sha-256"],
        ["hostnossl", "all", "all", "all", "reject"],
    ]


def test_what_makes_the_server_secure_is_on_its_command_line(documents):
    """There neither the file of parameters nor ALTER SYSTEM can undo it."""
    settings = settings_of(documents)
    assert settings.pop("ssl_min_protocol_version") in {"TLSv1.2", "TLSv1.3"}
    assert settings == {
        "config_file": "/etc/postgresql/postgresql.conf",
        "listen_addresses": "*",
        "hba_file": "/etc/postgresql/pg_hba.conf",
        "password_encryption": "scram-sha-256",
        "ssl": "on",
        "ssl_cert_file": "/tls/tls.crt",
        "ssl_key_file": "/tls/tls.key",
    }


def test_oldest_protocol_is_a_value():
    found = render("postgres", {"tls": {"minProtocolVersion": "TLSv1.3"}})
    assert settings_of(found)["ssl_min_protocol_version"] == "TLSv1.3"


def test_files_of_the_command_line_are_mounted(default):
    """With a key that is root's and our group's, which is what the server accepts."""
    mounts = {m["mountPath"] for m in container_of(default, "postgres")["volumeMounts"]}
    files = [value for value in settings_of(default).values() if value.startswith("/")]
    assert {path.rpartition("/")[0] for path in files} <= mounts
    assert config_of(default).keys() >= {"postgresql.conf", "pg_hba.conf"}
    spec = pod_of(default, "StatefulSet").spec
    (tls,) = (v["secret"] for v in spec["volumes"] if v["name"] == "tls")
    assert (tls["defaultMode"], spec["securityContext"]["fsGroup"]) == (0o640, 999)


def test_parameters_are_quoted():
    found = render("postgres", {"parameters": {"application_name": "it's \\ x"}})
    assert "application_name = 'it''s \\\\ x'" in config_of(found)["postgresql.conf"].splitlines()


# --- the server -----------------------------------------------------------------------------------


def test_server_starts_by_the_images_entry_point_on_the_volume_of_its_version(default):
    server, initdb = container_of(default, "postgres"), container_of(default, "initdb")
    assert "command" not in server
    pgdata = "/var/lib/postgresql/18/docker"
    assert [environ_of(c)["PGDATA"] for c in (server, initdb)] == [pgdata, pgdata]
    for container in (server, initdb):
        mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
        assert mounts["data"] == "/var/lib/postgresql"


def test_server_never_sees_the_superusers_password(default):
    """Only what makes the data directory does; the official entry point would export it."""
    mounts = {m["name"] for m in container_of(default, "postgres")["volumeMounts"]}
    assert "superuser" not in mounts
    assert not [name for name in environ_of(container_of(default, "postgres")) if "PASS" in name]


def test_server_has_time_to_end_and_is_alone(default):
    spec = named(default, "StatefulSet", "postgres")["spec"]
    assert spec["replicas"] == 1
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 60


def test_probes_come_the_way_clients_do(default):
    server = container_of(default, "postgres")
    for kind in ("startup", "liveness"):
        command = " ".join(server[f"{kind}Probe"]["exec"]["command"])
        assert "pg_isready" in command
        assert "host=127.0.0.1 sslmode=require" in command


def test_a_server_that_recovers_is_alive_but_not_ready(default):
    """Exit code 1 of pg_isready: somebody answers, and takes nobody in yet."""
    server = container_of(default, "postgres")
    alive = {server[f"{kind}Probe"]["exec"]["command"][-1] for kind in ("startup", "liveness")}
    assert {line.rpartition("; ")[2] for line in alive} == {"test $? -le 1"}
    assert server["readinessProbe"]["exec"]["command"] == ["sh", "/etc/postgresql/ready.sh"]


def test_volume_is_claimed_and_outlives_the_release(default):
    spec = named(default, "StatefulSet", "postgres")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_volume_may_be_an_existing_claim():
    found = render("postgres", {"persistence": {"existingClaim": "mine"}})
    assert "volumeClaimTemplates" not in named(found, "StatefulSet", "postgres")["spec"]
    volumes = pod_of(found, "StatefulSet").spec["volumes"]
    claims = [v["persistentVolumeClaim"]["claimName"] for v in volumes if v["name"] == "data"]
    assert claims == ["mine"]


def test_services_lead_to_the_server(documents):
    server = pod_of(documents, "StatefulSet")
    services = of_kind(documents, "Service")
    assert len(services) == 2
    for service in services:
        assert service["spec"]["selector"].items() <= server.labels.items()
        assert [port["targetPort"] for port in service["spec"]["ports"]] == ["postgresql"]
