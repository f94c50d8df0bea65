"""What `charts/postgres` renders around the server: secrets, bootstrap, who may call whom."""

import pytest

from tests.charts.postgres_chart import (
    EVERYTHING,
    LOADER,
    config_of,
    container_of,
)
from tests.charts.support import (
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

LOGIN = {"username", "password"}


@pytest.fixture(scope="module")
def default():
    return render("postgres")


@pytest.fixture(scope="module", params=["default", "everything"])
def documents(request, default):
    return default if request.param == "default" else render("postgres", EVERYTHING)


# --- secrets --------------------------------------------------------------------------------------


def test_each_pod_mounts_the_named_secrets_and_no_key_more():
    names = {"superuser": "s", "tls": "t", "database": "d"}
    values = {part: {"existingSecret": name} for part, name in names.items()}
    found = render("postgres", values | {"logins": [LOADER]})
    assert {kind: secrets_of(pod_of(found, kind)) for kind in ("StatefulSet", "Job", "Pod")} == {
        "StatefulSet": {"s": LOGIN, "t": {"tls.crt", "tls.key"}},
        "Job": {"s": LOGIN, "d": LOGIN, "x": LOGIN},
        "Pod": {"x": LOGIN},
    }


def test_migrations_see_the_owners_login_only(default):
    mounts = {m["name"]: m["mountPath"] for m in container_of(default, "migrate")["volumeMounts"]}
    assert mounts == {"owner": "/vault/secrets/database", "ca": "/ca", "tmp": "/tmp"}
    (owner,) = (v for v in pod_of(default, "Job").spec["volumes"] if v["name"] == "owner")
    assert owner["secret"]["secretName"] == "postgres-owner"


@pytest.mark.parametrize("name", ["roles", "test"])
def test_scripts_keep_passwords_in_memory_and_verify_the_server(documents, name):
    container = container_of(documents, name)
    kind = {"roles": "Job", "test": "Pod"}[name]
    (folder,) = (v for v in pod_of(documents, kind).spec["volumes"] if v["name"] == "runtime")
    assert folder["emptyDir"]["medium"] == "Memory"
    environ = environ_of(container)
    assert (environ["PGSSLMODE"], environ["PGSSLROOTCERT"]) == ("verify-full", "/ca/ca.crt")
    assert environ["RUNTIME_DIR"] in {m["mountPath"] for m in container["volumeMounts"]}


# --- bootstrap ------------------------------------------------------------------------------------


def plain_job(**values):
    (job,) = of_kind(render("postgres", {"bootstrap": {"hook": False}} | values), "Job")
    return job


def test_without_hooks_another_configuration_is_another_job():
    """A Job cannot be changed: the same name may only ever stand for the same content."""
    job, same, other = plain_job(), plain_job(), plain_job(logins=[LOADER])
    assert "annotations" not in job["metadata"]
    assert job == same
    assert job["metadata"]["name"] != other["metadata"]["name"]


def test_migrations_that_need_a_human_are_not_tried_again(default):
    (rule,) = named(default, "Job", "postgres-bootstrap")["spec"]["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {"containerName": "migrate", "operator": "In", "values": [78]}


def test_migrations_go_where_the_roles_went():
    found = render("postgres", EVERYTHING)
    environ = environ_of(container_of(found, "migrate"))
    assert (environ["SALES_DB_NAME"], environ["SALES_DB_SCHEMA"]) == ("warehouse", "shop")
    assert environ["SALES_DB_SSLMODE"] == "verify-full"
    lines = config_of(found, "postgres-scripts")["logins.sql"].splitlines()
    assert {"\\set database warehouse", "\\set schema shop"} <= set(lines)


def test_test_tells_those_who_load_from_those_who_read():
    logins = [
        {"existingSecret": "loads", "memberOf": ["etl_loader"]},
        {"existingSecret": "both", "memberOf": ["metabase_reader", "etl_loader"]},
        {"existingSecret": "reads", "memberOf": ["metabase_reader"]},
    ]
    environ = environ_of(container_of(render("postgres", {"logins": logins}), "test"))
    assert (environ["LOADERS"], environ["READERS"]) == ("loads both", "reads")


def checksum(kind, values):
    pod = pod_of(render("postgres", values), kind)
    return pod.metadata["annotations"]["checksum/config"]


@pytest.mark.parametrize(
    ("kind", "concerns", "does_not"),
    [
        ("StatefulSet", {"parameters": {"work_mem": "8MB"}}, {"logins": [LOADER]}),
        ("Job", {"logins": [LOADER]}, {"parameters": {"work_mem": "8MB"}}),
    ],
)
def test_checksum_follows_the_configuration_and_nothing_else(kind, concerns, does_not):
    assert checksum(kind, concerns) != checksum(kind, {})
    assert checksum(kind, does_not) == checksum(kind, {})


# --- network --------------------------------------------------------------------------------------


def test_server_calls_nobody(default):
    policy = policy_for(default, pod_of(default, "StatefulSet"))
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy


def test_server_lets_in_its_clients(documents):
    (rule,) = policy_for(documents, pod_of(documents, "StatefulSet"))["ingress"]
    assert ports_of(rule) == {5432}

    def lets_in(labels):
        return any(selects(peer["podSelector"], labels) for peer in rule["from"])

    clients = [{"app.kubernetes.io/name": name} for name in ("sales-pipeline", "metabase")]
    ours = [pod_of(documents, kind).labels for kind in ("Job", "Pod")]
    assert all(lets_in(labels) for labels in (*clients, *ours))
    assert not lets_in({"app.kubernetes.io/name": "sales-operator"})


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_scripts_may_call_the_server_and_be_called_by_nobody(documents, kind):
    spec = policy_for(documents, pod_of(documents, kind))
    assert "Ingress" in spec["policyTypes"]
    assert "ingress" not in spec
    dns, server, *_ = spec["egress"]
    assert (ports_of(dns), ports_of(server)) == ({53}, {5432})
    labels = pod_of(documents, "StatefulSet").labels
    assert selects(server["to"][0]["podSelector"], labels)
