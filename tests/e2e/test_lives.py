"""What happens to an ingest, its runs and its surroundings while a run is at work."""

import json
import secrets
from dataclasses import replace

import pytest

from sales_api import names
from tests.e2e.ingests import Ingest, away, condition, ended, holds, large_file, sales_of
from tests.e2e.installation import OPERATOR
from tests.e2e.kube import KubeError, Namespace
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 300_000
"""So many that there is time to interfere, and that it does not take too long."""
SECONDS = 150
"""How long a run of so many rows may take, one after another if need be."""


@pytest.fixture(scope="module")
def large():
    """Large files by seed; every test has its own, so that the star tells whose rows are there."""
    return lambda seed: large_file(seed, ROWS)


def small(ingest, **changes):
    """A file of ten rows."""
    return as_csv(sales_of(ingest.name, range(10), **changes))


def one_bad(ingest):
    """A file of ten rows, one of which breaks a rule."""
    rows = sales_of(ingest.name, range(9))
    return as_csv([*rows, *sales_of(ingest.name, [9], quantity=0)])


def uids(jobs):
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in jobs}


# --- the spec changes


def test_running_job_keeps_its_spec_and_later_runs_have_the_new_one(installation, large):
    ingest = Ingest.make(installation, "edited", parallelism=1)
    body = large(101)
    spoiled = body.replace(b"@", b"", 1)  # One bad row, which the first spec puts up with.
    ingest.put({"large.csv": spoiled})
    ingest.until_reading()
    before = uids(ingest.jobs())
    ingest.patch(quality={"maxRejectedRows": 0})
    ingest.put({"small.csv": one_bad(ingest)})
    ingest.until_done(2, SECONDS)
    first, second = ingest.jobs()
    assert uids([first]) == before
    assert [ended(first), ended(second)] == ["Complete", "Failed"]
    generations = [
        j["metadata"]["annotations"][names.ANNOTATION_GENERATION] for j in (first, second)
    ]
    assert generations == ["1", "2"]
    fates = [(row["status"], row["rows_rejected"]) for row in ingest.ledger()]
    assert fates[0] == ("loaded", 1)
    assert fates[1][0] == "quarantined"


def test_suspended_ingest_ends_what_runs_and_begins_nothing(installation, large):
    ingest = Ingest.make(installation, "suspended")
    ingest.put({"large.csv": large(102)})
    ingest.until_reading()
    before = uids(ingest.jobs())
    ingest.patch(suspend=True)
    ingest.put({"small.csv": small(ingest)})
    status = ingest.until(
        lambda s: s.get("files", {}).get("loaded") == 1 and not s.get("activeJobs"), SECONDS
    )
    assert condition(status, "Ready")["reason"] == "Suspended"
    assert holds(status, "Reconciling", "False")
    assert ingest.keys("raw") == ["small.csv"]
    assert uids(ingest.jobs()) == before
    ingest.patch(suspend=False)
    ingest.until_done(2)
    assert ingest.facts() == ROWS + 10
    told = ingest.happenings()
    assert (told["Suspended"], told["Resumed"]) == (1, 1)


def test_deleted_ingest_takes_its_jobs_along_and_leaves_its_objects(installation, large):
    """What was not committed is loaded for an ingest made anew."""
    ingest = Ingest.make(installation, "deleted")
    ingest.put({"large.csv": large(103)})
    ingest.until_reading()
    ingest.namespace.kubectl("delete", "si", ingest.name, "--timeout=30s")
    for kind in ("jobs", "pods"):
        gone = ("wait", kind, ingest.selector, "--for=delete", "--timeout=60s")
        ingest.namespace.kubectl(*gone, timeout=70)
    assert (ingest.facts(), ingest.ledger()) == (0, [])
    assert ingest.keys("raw") == ["large.csv"]
    ingest.apply()
    ingest.until_done(1, SECONDS)
    assert ingest.facts() == ROWS


# --- a run is ended from outside


def test_objects_of_a_job_deleted_by_hand_are_loaded_by_another(installation, large):
    ingest = Ingest.make(installation, "by-hand", retry={"backoffSeconds": 1})
    ingest.put({"large.csv": large(104)})
    name = ingest.until_reading()
    before = uids(ingest.jobs())[name]
    ingest.namespace.kubectl("delete", "job", name, "--timeout=60s", timeout=70)
    ingest.until_done(1, SECONDS)
    assert ingest.facts() == ROWS
    assert [row["status"] for row in ingest.ledger()] == ["loaded"]
    assert before not in uids(ingest.jobs()).values()


def test_evicted_pod_is_replaced_and_no_attempt_is_counted(installation, large):
    """As a drained node would have it: by the eviction API."""
    ingest = Ingest.make(installation, "evicted")
    ingest.put({"large.csv": large(105)})
    name = ingest.until_reading()
    (pod,) = ingest.pods()
    evict(ingest.namespace, pod["metadata"]["name"])
    status = ingest.until_done(1, SECONDS)
    (job,) = ingest.jobs()
    assert (job["metadata"]["name"], ended(job)) == (name, "Complete")
    assert not job["status"].get("failed")
    assert status["lastRun"]["attempt"] == 1
    assert ingest.facts() == ROWS


def evict(namespace, pod):
    """Ask the API server to evict a pod."""
    asked = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace.name},
    }
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}/eviction"
    namespace.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(asked))


# --- an object is overwritten


def test_object_overwritten_during_its_run_is_loaded_again_and_in_order(installation, large):
    ingest = Ingest.make(installation, "overwritten")
    first = large(106)
    lines = first.splitlines(keepends=True)
    corrected = b"".join(lines[:101])
    ingest.put({"sales.csv": first})
    ingest.until_reading()
    ingest.put({"sales.csv": corrected})
    ingest.until_done(2, SECONDS)
    older, newer = ingest.ledger()
    assert older["modified_at"] < newer["modified_at"]
    # A record of the large file may span lines, and the last one may be cut.
    assert older["rows_read"] == ROWS
    assert 0 < newer["rows_loaded"] <= newer["rows_read"] <= 100
    # The older content's run was over before the newer one's began: never two at once on a key.
    former, latter = ingest.jobs()
    assert former["status"]["completionTime"] <= latter["metadata"]["creationTimestamp"]
    assert ingest.facts() == ROWS
    assert ingest.keys("raw") == []


# --- the database is away


def test_runs_without_a_database_are_tried_again_until_it_is_back(installation):
    ingest = Ingest.make(
        installation, "no-database", retry={"backoffSeconds": 1, "maxAttempts": 20}
    )
    with away(installation.namespace, "statefulset/postgres", 1):
        ingest.put({"sales.csv": small(ingest)})
        ingest.wait("condition=LastRunSucceeded=False")
        status = ingest.status()
        assert condition(status, "LastRunSucceeded")["reason"] == "TemporaryFailure"
        assert holds(status, "Stalled", "False")
        ingest.until(lambda s: s.get("lastRun", {}).get("attempt", 0) >= 2)
        assert ingest.keys("raw") == ["sales.csv"]
    status = ingest.until_done(1)
    assert holds(status, "LastRunSucceeded")
    assert status["lastRun"]["attempt"] >= 3
    assert ingest.facts() == 10
    assert ingest.happenings()["ObjectsParked"] == 0


# --- a namespace goes


@pytest.fixture
def elsewhere(installation):
    """Another namespace, whose ingests the operator looks after as well while a test lasts."""
    home = installation.namespace
    other = Namespace(f"{home.name}-{secrets.token_hex(2)}")
    labels = home.get("namespace", home.name)["metadata"]["labels"]
    metadata = {"name": other.name, "labels": labels}
    other.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        home.install("operator", OPERATOR | {"watchNamespaces": [home.name, other.name]})
        yield other
    finally:
        delete(other)
        home.install("operator", OPERATOR)


def delete(namespace):
    """Delete a namespace, and wait until it is gone."""
    limit = ("--ignore-not-found", "--timeout=60s")
    namespace.kubectl("delete", "namespace", namespace.name, *limit, timeout=70)


def test_namespace_goes_with_its_ingests_and_jobs_though_the_operator_is_gone(
    installation, elsewhere
):
    ingest = Ingest(replace(installation, namespace=elsewhere), "elsewhere")
    ingest.apply(trigger={"schedule": "0 0 1 1 *"})
    ingest.wait("condition=Ready")
    # Supplied at home: there is no object store here. Nor is there a Secret, so the run cannot end.
    Ingest(installation, ingest.name).put({"sales.csv": small(ingest)})
    ingest.until(lambda status: status.get("activeJobs"))
    with away(installation.namespace, "deployment/operator", 2):
        delete(elsewhere)
        with pytest.raises(KubeError, match="NotFound"):
            elsewhere.get("namespace", elsewhere.name)
