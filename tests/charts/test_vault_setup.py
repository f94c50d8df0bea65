"""What `charts/vault` renders for the setup: its Job, and the plan of what it shall bring about."""

import pytest

from sales_vault.settings import read_settings
from sales_vault.wanted import read_plan
from tests.charts.local_pod import LocalPod
from tests.charts.support import NAMESPACE, named, pod_of, pods, render
from tests.charts.vault_chart import EVERYTHING, SELF_INIT, environ_of, made_by, plan_of


@pytest.fixture(scope="module")
def default():
    return render("vault")


@pytest.fixture(scope="module")
def everything():
    return render("vault", EVERYTHING)


@pytest.mark.parametrize("values", [{}, EVERYTHING, SELF_INIT, {"setup": {"mode": "dev"}}])
def test_program_understands_its_plan_and_its_environment(values, tmp_path):
    found = render("vault", values)
    files = {"vault-setup": named(found, "ConfigMap", "vault-setup")["data"]}
    files |= {"minidata-ca": {"ca.crt": "x"}, "kube-root-ca.crt": {"ca.crt": "x"}}
    pod = LocalPod.make(made_by(found, "Job/vault-setup"), tmp_path, files, {})
    command, option, path = pod.argv
    assert (command, option) == ("setup", "--plan")
    plan = read_plan(tmp_path / path)
    settings = read_settings(pod.environ)
    assert settings.ca_file.is_file()
    assert settings.mode == values.get("setup", {}).get("mode", "shamirJob")
    assert plan.roles[plan.setup_role].service_accounts == [
        made_by(found, "Job/vault-setup").spec["serviceAccountName"]
    ]


def test_first_of_many_servers_is_set_up(default, everything):
    addresses = [
        environ_of(made_by(d, "Job/vault-setup"))["SALES_VAULT_ADDR"] for d in (default, everything)
    ]
    assert addresses == [
        f"https://vault.{NAMESPACE}.svc:8200",
        f"https://vault-0.vault-internal.{NAMESPACE}.svc:8200",
    ]


@pytest.mark.parametrize(
    ("setup", "keys"),
    [
        ({}, (5, 3)),
        ({"shares": 3, "threshold": 2}, (3, 2)),
        ({"mode": "dev"}, (1, 1)),
    ],
)
def test_keys_are_as_many_as_wanted_and_one_for_development(setup, keys):
    plan = plan_of(render("vault", {"setup": setup}))
    assert (plan["initialise"]["shares"], plan["initialise"]["threshold"]) == keys


def test_plan_is_for_the_releases_namespace_unless_a_role_says_otherwise():
    found = plan_of(render("vault", {"roles": {"metabase": {"namespaces": ["reports"]}}}))
    assert found["roles"]["metabase"]["namespaces"] == ["reports"]
    others = [role for name, role in found["roles"].items() if name != "metabase"]
    assert [role["namespaces"] for role in others] == [[NAMESPACE]] * len(others)


def test_runs_may_read_what_they_need_and_nothing_else(default):
    assert plan_of(default)["policies"]["sales-pipeline"] == {
        "kv/data/sales/object-store": ["read"],
        "kv/data/sales/pseudonym": ["read"],
        "database/creds/sales-pipeline": ["read"],
    }


def test_nobody_may_read_what_is_not_there(default):
    plan = plan_of(default)
    readable = {
        path for p, paths in plan["policies"].items() if p != "vault-setup" for path in paths
    }
    made = {f"kv/data/{path}" for path in plan["kv"]["generate"]}
    assert readable - made == {"database/creds/sales-pipeline"}


def test_warehouse_is_left_alone_until_it_is_there(default, everything):
    assert "database" not in plan_of(default)
    (connection,) = plan_of(everything)["database"]["connections"].values()
    assert connection["host"] == "warehouse.example"
    assert connection["sslmode"] == "verify-full"
    assert connection["login"] in plan_of(everything)["kv"]["generate"]
    assert connection["rotateLogin"] is False


def test_authority_of_the_warehouse_is_where_the_server_looks(everything):
    (connection,) = plan_of(everything)["database"]["connections"].values()
    assert connection["caFile"] == "/vault/tls/ca.crt"
    volumes = {v["name"]: v for v in pod_of(everything, "StatefulSet").spec["volumes"]}
    sources = volumes["tls"]["projected"]["sources"]
    (authority,) = (source["configMap"] for source in sources if "configMap" in source)
    assert authority["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_setup_runs_after_each_install_and_upgrade_or_once_for_each_change():
    def name(values):
        owners = [pod.owner for pod in pods(render("vault", values))]
        (found,) = (owner for owner in owners if owner.startswith("Job/vault-setup"))
        return found

    plain = {"setup": {"hook": False}}
    assert name({}) == "Job/vault-setup"
    assert name(plain) == name(plain)
    images = [{"tag": "0.1.1"}, {"digest": f"sha256:{'0' * 64}"}]
    changes = [{"image": image} for image in images] + [{"podAnnotations": {"image": "built anew"}}]
    changed = [{"setup": {"hook": False} | change} for change in changes]
    names = [name(values) for values in (plain, plain | {"roles": {"x": {}}}, *changed)]
    assert len(set(names)) == len(names)
    assert "annotations" not in named(render("vault", plain), "Job", name(plain)[4:])["metadata"]


def test_setup_stops_where_a_human_must_act(default):
    job = named(default, "Job", "vault-setup")["spec"]
    first = job["podFailurePolicy"]["rules"][0]
    assert (first["action"], first["onExitCodes"]["values"]) == ("FailJob", [78])


def test_setup_can_be_left_to_others():
    found = render("vault", {"setup": {"enabled": False}})
    assert not [d for d in found if "setup" in d["metadata"]["name"]]
