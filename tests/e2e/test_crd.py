"""A real API server takes the CRD, explains it, fills in its defaults and holds its rules."""

import json
import re
import secrets
from datetime import UTC, datetime

import pytest
import yaml

from sales_api.crd import schema
from sales_api.ingest import (
    Condition,
    ConditionStatus,
    RunSummary,
    SalesIngestStatus,
    parse_spec,
    parse_status,
)
from tests.api.specs import BAD, GOOD, RULES, spec
from tests.docs.pages import ROOT
from tests.e2e.kube import KubeError, Namespace

pytestmark = pytest.mark.e2e

CRD = ROOT / "manifests/crds/minidata.io_salesingests.yaml"
NAME = "crd/salesingests.minidata.io"
SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def namespace():
    """A namespace for ingests, in a cluster that knows them. The CRD stays: others use it.

    Without the fixture `cluster`, which removes the namespaces of other runs: nothing here needs
    an installation, so these tests may share a cluster with one.
    """
    made = Namespace(f"minidata-crd-{secrets.token_hex(3)}")
    made.apply(yaml.safe_load(CRD.read_text("utf-8")))
    made.kubectl("wait", NAME, "--for=condition=Established", "--timeout=60s", timeout=70)
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.name}})
    try:
        yield made
    finally:
        made.kubectl("delete", "namespace", made.name, "--wait=false")


def manifest(wanted, name="tried"):
    return {
        "apiVersion": "minidata.io/v1alpha1",
        "kind": "SalesIngest",
        "metadata": {"name": name},
        "spec": wanted,
    }


def tried(namespace, wanted):
    """What the server would store.

    Raises:
        KubeError: It refuses.
    """
    command = ("create", "--dry-run=server", "--output=json", "--filename=-")
    return json.loads(namespace.kubectl(*command, stdin=json.dumps(manifest(wanted))))


@pytest.fixture
def stored(namespace):
    """An ingest that is really there, suspended, so that nobody acts on it."""
    name = f"stored-{secrets.token_hex(3)}"
    namespace.apply(manifest(spec(suspend=True, source={"bucket": name}), name))
    yield f"salesingest/{name}"
    namespace.kubectl("delete", "salesingest", name)


def patched(namespace, target, change, *more):
    """The object after a change."""
    place = ("--type=merge", f"--patch={json.dumps(change)}", "--output=json")
    return json.loads(namespace.kubectl("patch", target, *place, *more))


# --- the definition


def test_the_definition_is_established_and_structural(namespace):
    found = namespace.get(NAME)["status"]["conditions"]
    conditions = {condition["type"]: condition["status"] for condition in found}

    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


def test_short_name_and_category(namespace, stored):
    shown = namespace.kubectl("get", "si", "--output=name")
    assert stored.partition("/")[2] in shown
    assert namespace.kubectl("get", "minidata", "--output=name") == shown


def test_ingests_are_found_by_bucket(namespace, stored):
    bucket = stored.partition("/")[2]
    found = namespace.get("si", f"--field-selector=spec.source.bucket={bucket}")["items"]
    others = namespace.get("si", "--field-selector=spec.source.bucket=others")["items"]

    assert [item["metadata"]["name"] for item in found] == [bucket]
    assert others == []


def parts(path, node):
    """Each part that can be explained, with the fields that it has; one column stands for all."""
    yield path, set(node["properties"])
    for name, field in node["properties"].items():
        below = field.get("items", field)
        if "properties" in below and (not path.endswith(".columns") or name == "order_id"):
            yield from parts(f"{path}.{name}", below)


PARTS = [p for top in ("spec", "status") for p in parts(top, schema()["properties"][top])]


@pytest.mark.parametrize(("path", "fields"), PARTS, ids=[path for path, _ in PARTS])
def test_kubectl_explains_each_field(namespace, path, fields):
    """In words, field by field."""
    text = namespace.kubectl("explain", f"salesingest.{path}")
    _, _, listed = text.partition("FIELDS:\n")
    entry = r"^  (\w+)\t.*\n(?:  enum: .*\n)?((?:    .*\n)*)"
    said = dict(re.findall(entry, listed, re.MULTILINE))

    assert set(said) == fields
    assert [name for name, words in said.items() if not words.strip()] == []


def test_kubectl_explains_the_whole_at_once(namespace):
    text = namespace.kubectl("explain", "salesingest.spec", "--recursive")
    for name in ("maxRejectedRatio", "activeDeadlineSeconds", "order_line", "hashOf"):
        assert re.search(rf"^ +{name}\t<", text, re.MULTILINE)


# --- specs


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_taken(namespace, path):
    """As it is, but for its namespace; what the server stores is what the parser understood."""
    wanted = yaml.safe_load(path.read_text("utf-8"))["spec"]
    assert tried(namespace, wanted)["spec"] == dumped(parse_spec(wanted))


def dumped(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


@pytest.mark.parametrize("wanted", GOOD.values(), ids=GOOD)
def test_a_good_spec_is_taken_and_its_defaults_are_the_parsers(namespace, wanted):
    assert tried(namespace, wanted)["spec"] == dumped(parse_spec(wanted))


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_spec_is_refused_with_its_rule_or_field(namespace, bad):
    """The same that the parser refuses, in the same words where it is a rule."""
    with pytest.raises(KubeError) as caught:
        tried(namespace, bad.spec)

    assert "is invalid" in str(caught.value)
    assert bad.says in str(caught.value)
    assert bad.field in str(caught.value)


def test_the_bad_specs_are_refused_by_no_other_rule(namespace):
    """Each of its own: a rule that refused everything would pass for any other."""
    for bad in RULES.values():
        with pytest.raises(KubeError) as caught:
            tried(namespace, bad.spec)
        assert str(caught.value).count("Invalid value") == 1


def test_a_field_that_does_not_exist_is_refused(namespace):
    """A misspelt one would be dropped, and the default taken."""
    with pytest.raises(KubeError, match="unknown field"):
        tried(namespace, spec(quality={"maxRejectedRate": "0.1"}))
    with pytest.raises(KubeError, match="unknown field"):
        tried(namespace, spec(contract={"columns": {"colour": {"from": "a"}}}))


@pytest.mark.parametrize("field", ["bucket", "prefix"])
def test_where_objects_are_found_cannot_be_changed(namespace, stored, field):
    """What was read from there is remembered under it."""
    with pytest.raises(KubeError, match=f"{field} cannot be changed: make another SalesIngest"):
        patched(namespace, stored, {"spec": {"source": {field: "elsewhere/"}}})


def test_anything_else_can_be_changed(namespace, stored):
    change = {"source": {"processedPrefix": "done/"}, "parallelism": 7, "batch": {"maxFiles": 1}}

    after = patched(namespace, stored, {"spec": change})

    assert after["spec"]["source"]["processedPrefix"] == "done/"
    assert (after["spec"]["parallelism"], after["spec"]["batch"]["maxFiles"]) == (7, 1)
    assert after["metadata"]["generation"] == 2


# --- statuses


def condition(name="Ready", **fields):
    made = {"status": ConditionStatus.FALSE, "reason": "Parked", "message": "Mend a.csv", **fields}
    return Condition(type=name, last_transition_time=NOON, observed_generation=1, **made)


def full_status():
    """A status with every field."""
    rows = {"read": 9, "loaded": 6, "rejected": 2, "deduplicated": 1}
    run = RunSummary(
        job="a-1", attempt=2, started_at=NOON, finished_at=NOON, outcome="Succeeded", rows=rows
    )
    return SalesIngestStatus(
        observed_generation=1,
        conditions=[condition(), condition("Fresh", message="")],
        files={"pending": 3, "running": 4, "loaded": 5, "quarantined": 1, "failed": 2},
        rows=rows,
        last_run=run,
        last_success_time=NOON,
        next_schedule_time=NOON,
        recent_runs=[run] * 5,
        active_jobs=["a-2"],
        counted=[f"a-{n}" for n in range(1024)],
    )


def test_a_status_is_stored_to_the_last_field(namespace, stored):
    """Nothing of it is pruned, and the generation stays."""
    status = full_status()

    after = patched(namespace, stored, {"status": dumped(status)}, "--subresource=status")

    assert parse_status(after["status"]) == status
    assert after["status"] == dumped(status)
    assert after["metadata"]["generation"] == 1


def test_what_kubectl_get_shows(namespace, stored):
    patched(namespace, stored, {"status": dumped(full_status())}, "--subresource=status")

    head, row = namespace.kubectl("get", stored, "--output=wide").splitlines()

    assert re.split(r"\s{2,}", head.strip()) == [
        *("NAME", "READY", "PENDING", "RUNNING", "LOADED", "REJECTED"),
        *("SCHEDULE", "LAST SUCCESS", "AGE", "REASON", "MESSAGE"),
    ]
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[1:7] == ["False", "3", "4", "6", "2", "0 2 * * *"]
    assert cells[-2:] == ["Parked", "Mend a.csv"]


def test_two_conditions_of_one_type_are_refused(namespace, stored):
    twice = [dumped(condition())] * 2
    with pytest.raises(KubeError, match="Duplicate"):
        patched(namespace, stored, {"status": {"conditions": twice}}, "--subresource=status")


def test_a_status_that_grows_without_end_is_refused(namespace, stored):
    grown = {"counted": [f"a-{n}" for n in range(1025)]}
    with pytest.raises(KubeError, match="counted"):
        patched(namespace, stored, {"status": grown}, "--subresource=status")
