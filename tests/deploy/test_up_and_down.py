"""What is done to a cluster, in which order; that it works is tried on a real one."""

import json
import re

import pytest
import yaml

from cluster import pins
from cluster.shell import ClusterError
from deploy import proof, up
from deploy.attend import ObstructedError
from deploy.built import identity
from deploy.down import down
from deploy.facts import Facts
from deploy.next_steps import next_steps
from deploy.place import ACCOUNTS, DEFAULT, LOCAL_VALUES, OUT, SAMPLE, Place
from deploy.trouble import explained, last_words
from tests.charts.support import CHARTS
from tests.deploy.conftest import PLACE
from tests.deploy.objects import RELEASE, false, pod, workload
from tests.deploy.test_health import CRASHING

OURS = json.dumps({"metadata": {"labels": {"app.kubernetes.io/managed-by": "minidata-deploy"}}})
THEIRS = json.dumps({"metadata": {"labels": {}}})
THERE = '{"kind": "CustomResourceDefinition"}'
ANOTHER = '{"items": [{}]}'
NONE = '{"items": []}'


@pytest.fixture
def values():
    return yaml.safe_load(LOCAL_VALUES.read_text())


# --- up -------------------------------------------------------------------------------------------


@pytest.fixture
def certified(monkeypatch):
    """A place that has its certificates and images."""
    monkeypatch.setattr(up, "_certify", lambda _: None)
    monkeypatch.setattr(up, "identity", lambda *_: "sha256:first")


@pytest.mark.parametrize(("there", "made"), [("", 1), ('{"kind": "Secret"}', 0)])
def test_the_key_that_unseals_vault_is_made_once(programs, door, certified, there, made):
    programs.add("kubectl", ("secret vault-seal", there, 0))
    up.prepare(door)
    assert len(programs.calls("kubectl create ")) == made


def test_a_key_that_was_lost_is_not_replaced(programs, door, certified):
    programs.add("kubectl", ("persistentvolumeclaim data-vault-0", '{"kind": "Claim"}', 0))
    with pytest.raises(ClusterError, match=r"not the key that opens it[\s\S]*vault-seal"):
        up.prepare(door)
    assert programs.calls("kubectl create ") == []


def test_a_namespace_restricts_pods_and_tells_who_made_it(programs, door, certified):
    programs.script("kubectl", 'cat >>"$HERE/stdin"')
    up.prepare(door)
    text = (programs.folder / "stdin").read_text()
    assert '"pod-security.kubernetes.io/enforce": "restricted"' in text
    assert '"app.kubernetes.io/managed-by": "minidata-deploy"' in text


def test_a_release_that_was_cut_off_is_completed(programs, door, certified, tmp_path):
    up.install(door, [tmp_path / "mine.yaml"])
    changing = [call.split()[:2] for call in programs.calls() if not call.startswith("kubectl get")]
    assert changing == [["kubectl", "delete"], ["helm", "upgrade"], ["kubectl", "wait"]]
    (mark,) = re.findall(r"--selector=(.*)", programs.calls("kubectl delete")[0])
    assert mark.startswith("owner=helm,name=t,status in (pending-install,")


@pytest.mark.parametrize(
    ("status", "made_anew"),
    [({"failed": 1, "active": 1}, True), ({"failed": 1, "succeeded": 1}, False), ({}, False)],
)
def test_a_setup_that_has_failed_is_made_anew(programs, door, certified, status, made_anew):
    setup = {"items": [{"metadata": {"name": "vault-setup-a"}, "status": status}]}
    programs.add("kubectl", ("^get .* jobs ", json.dumps(setup), 0))
    up.install(door, [])
    calls = programs.calls()
    deleted = [
        call for call in calls if call.startswith("kubectl delete") and "vault-setup-a" in call
    ]
    assert len(deleted) == made_anew
    upgraded = next(call for call in calls if call.startswith("helm upgrade"))
    assert all(calls.index(call) < calls.index(upgraded) for call in deleted)


def test_what_stands_in_the_way_needs_no_further_explanation(programs, door, monkeypatch):
    def stuck(*_):
        raise ObstructedError("pod minio-0: Unschedulable")

    monkeypatch.setattr(up, "install", stuck)
    monkeypatch.setattr(up, "prepare", lambda _: None)
    with pytest.raises(ObstructedError, match=r"^pod minio-0: Unschedulable$"):
        up.up(door, [])
    assert programs.calls("kubectl") == []


def test_values_of_the_user_are_read_last(programs, door, certified, tmp_path):
    up.install(door, [tmp_path / "mine.yaml"])
    read = re.findall(r"--values=(\S+)", programs.calls("helm upgrade")[0])
    assert read == [str(LOCAL_VALUES), str(tmp_path / "mine.yaml")]


@pytest.mark.parametrize("part", ["operator", "vault.setup"])
def test_what_was_built_anew_takes_the_place_of_the_old(
    programs, door, certified, monkeypatch, part
):
    up.install(door, [])
    up.install(door, [])
    monkeypatch.setattr(up, "identity", lambda *_: "sha256:second")
    up.install(door, [])
    calls = programs.calls("helm upgrade")
    told = [re.findall(rf"={part}\.podAnnotations\.image=(\S+)", call) for call in calls]
    assert told == [["sha256:first"], ["sha256:first"], ["sha256:second"]]


def test_images_of_another_cluster_are_not_looked_up(door):
    assert identity(door.place, pins.OPERATOR_IMAGE) == ""


def test_what_went_wrong_is_explained_by_what_is_wrong_and_who_said_what(programs, door):
    crashing = pod("operator-a", "operator", CRASHING, conditions=[false("Ready")])
    failed = RELEASE | {"name": "t", "status": "failed"}
    programs.add("helm", ("list", json.dumps([failed]), 0))
    programs.add(
        "kubectl",
        ("^logs .* operator-a ", "settings.yaml: receiver: not permitted", 0),
        ("^get .* statefulsets", json.dumps({"items": [workload("operator", "operator", 0)]}), 0),
        ("^get .* pods ", json.dumps({"items": [crashing]}), 0),
    )
    told = str(explained(door, ClusterError("helm failed"))).splitlines()
    assert told[0] == "helm failed"
    assert "pod operator-a, container operator: it has ended 7 times" in told[1]
    assert told[2:4] == ["  operator-a:", "    | settings.yaml: receiver: not permitted"]
    assert "make up" in told[4]


def test_what_went_wrong_is_told_even_where_nothing_answers(programs, door):
    programs.add("kubectl", ("", "connection refused", 1))
    told = str(explained(door, ClusterError("helm failed", mend="Look.")))
    assert told.startswith("helm failed\n  Look.\n")
    assert "connection refused" in told


def test_of_many_pods_of_one_job_the_last_is_heard(programs, door):
    def made(name, minute):
        one = pod(name, "minio", CRASHING, conditions=[false("Ready")], phase="Failed")
        one["metadata"]["ownerReferences"] = [{"name": "bootstrap"}]
        one["metadata"]["creationTimestamp"] = f"2026-11-28T15:0{minute}:00Z"
        return one

    pods = [made("bootstrap-b", 3), made("bootstrap-a", 1)]
    programs.add("kubectl", ("^logs", "refused", 0))
    assert list(last_words(door, Facts(door.place, pods=pods))) == ["bootstrap-b:", "  | refused"]
    (asked,) = programs.calls("kubectl logs")
    assert "--container=operator" in asked


# --- the proof ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (" format \n----\n loaded: 991 of 991 rows\n(1 row)", proof.Loaded("loaded", 991)),
        (" quarantined: 0 of 0 rows", proof.Loaded("quarantined", 0)),
        (" format \n----\n(0 rows)", None),
    ],
)
def test_the_answer_of_the_warehouse_is_understood(answer, wanted):
    assert proof.understood(answer) == wanted


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [("quarantined: 0 of 0 rows", "was refused"), ("(0 rows)", "has not become rows within")],
)
def test_a_file_that_does_not_become_rows_is_an_error(monkeypatch, door, answer, wanted):
    monkeypatch.setattr(proof, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(proof, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(proof.helper, "query", lambda *_: answer)
    with pytest.raises(ClusterError, match=f"raw/a.csv {wanted}"):
        proof._until_loaded(door, "raw/a.csv")


def test_a_file_of_orders_that_are_there_already_proves_nothing(monkeypatch, door, tmp_path):
    answers = iter(["(1 row)\n 20 known", " 0 known"])
    asked = []
    monkeypatch.setattr(proof.helper, "query", lambda _, sql: asked.append(sql) or next(answers))
    file = proof._new_file(door.place, tmp_path)
    orders = [re.findall(r"'(\w{10})'", sql) for sql in asked]
    assert all(orders)
    assert set(orders[0]).isdisjoint(orders[1])
    assert orders[1][0] in file.read_text()


def test_settings_of_the_client_are_its_owners_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(proof.helper, "reveal", lambda *_: ["sales-supplier", "hidden"])
    monkeypatch.setattr(Place, "certificates", tmp_path)
    (tmp_path / "ca.crt").write_text("PEM")
    folder = tmp_path / "mc"
    proof.write_client(PLACE, folder, 9000)
    config = folder / "config.json"
    assert [path.stat().st_mode & 0o777 for path in (folder, config)] == [0o700, 0o600]
    (alias,) = json.loads(config.read_text())["aliases"].values()
    assert (alias["url"], alias["secretKey"]) == ("https://localhost:9000", "hidden")
    assert (folder / "certs" / "CAs" / "ca.crt").read_text() == "PEM"


# --- down -----------------------------------------------------------------------------------------


@pytest.fixture
def others(monkeypatch, tmp_path):
    """A folder of this machine that is nobody's."""
    monkeypatch.setattr(Place, "client", tmp_path / "mc")


def cluster(programs, *, namespace=OURS, ingests=NONE, operators=NONE):
    programs.add("helm", ("list", json.dumps([RELEASE | {"name": "t"}]), 0))
    programs.add(
        "kubectl",
        ("^get .* namespace trial", namespace, 0),
        ("customresourcedefinitions", THERE, 0),
        ("^get .* deployments --all-namespaces", operators, 0),
        ("^get .* salesingests --all-namespaces", ingests, 0),
    )


def deleted(programs):
    calls = programs.calls("kubectl delete ")
    return [call.split()[4].partition("/")[0] for call in calls]


def test_down_removes_ingests_before_their_operator_and_the_definition_last(programs, door, others):
    cluster(programs)
    down(door, keep_data=False)
    assert deleted(programs) == ["salesingests", "namespace", "customresourcedefinitions"]
    calls = programs.calls()
    uninstalled = next(at for at, call in enumerate(calls) if call.startswith("helm uninstall"))
    first = next(at for at, call in enumerate(calls) if "delete" in call and "salesing" in call)
    assert first < uninstalled


@pytest.mark.parametrize("others_have", [{"ingests": ANOTHER}, {"operators": ANOTHER}])
def test_the_definition_stays_while_others_need_it(programs, door, others, others_have):
    cluster(programs, **others_have)
    down(door, keep_data=False)
    assert "customresourcedefinitions" not in deleted(programs)


def test_data_that_is_kept_is_not_touched(programs, door, others):
    cluster(programs)
    down(door, keep_data=True)
    assert deleted(programs) == []
    assert len(programs.calls("helm uninstall")) == 1


def test_a_namespace_of_somebody_else_is_not_removed(programs, door, others):
    cluster(programs, namespace=THEIRS)
    with pytest.raises(ClusterError, match="was not made by `up`"):
        down(door, keep_data=False)
    assert programs.calls("helm") == deleted(programs) == []


def test_nothing_to_remove_is_no_error(programs, door, others):
    cluster(programs, namespace="")
    down(door, keep_data=False)
    assert deleted(programs) == []


# --- what is printed, and what is installed -------------------------------------------------------


def test_what_is_printed_names_the_place():
    text = next_steps(PLACE)
    kubectl = [line for line in text.splitlines() if "$ kubectl" in line]
    assert all("--context kind-trial --namespace trial" in line for line in kubectl)
    assert 'make down ARGS="--context kind-trial --namespace trial --release t"' in text
    assert str(OUT) not in text


def test_for_the_defaults_no_words_are_needed():
    assert "  $ make status\n  $ make down\n" in next_steps(DEFAULT)


def test_accounts_and_sample_are_those_of_the_roles(values):
    accounts = {one["metadata"]["name"] for one in yaml.safe_load_all(ACCOUNTS.read_text())}
    charts = yaml.safe_load((CHARTS / "vault" / "values.yaml").read_text())
    assert accounts == {proof.SUPPLIER, "metabase"}
    assert accounts <= charts["roles"].keys() | values["vault"]["roles"].keys()
    assert yaml.safe_load(SAMPLE.read_text())["metadata"]["name"] == "sales"


def test_the_supplier_reads_the_key_that_the_store_knows(values):
    path = f"kv/data/{proof.SUPPLIERS_KEY}"
    policies = values["vault"]["policies"]
    assert policies[proof.SUPPLIER] == policies["minio"] == {path: ["read"]}
    assert proof.SUPPLIERS_KEY in values["vault"]["secrets"]
    assert values["minio"]["users"][proof.SUPPLIER]["vaultPath"] == proof.SUPPLIERS_KEY
    assert values["vault"]["seal"]["existingSecret"] == up.SEAL


def test_the_local_cluster_installs_the_pinned_openbao(values):
    image = "docker.io/{repository}:{tag}".format(**values["vault"]["image"])
    assert image == pins.OPENBAO_IMAGE
    agents = [values[part]["vault"]["image"] for part in ("minio", "postgres", "operator")]
    assert agents == [values["vault"]["image"]] * 3
