"""The door to a real API server: what it answers, and what it says when it refuses."""

import asyncio
import secrets
from datetime import UTC, datetime

import pytest

from sales_api import names
from sales_operator import cluster as module
from sales_operator.cluster import ClusterError
from sales_operator.observed import IngestKey, Notice
from sales_operator.posting import event
from tests.e2e.connecting import Line, connected, requests, serving
from tests.e2e.kube import CONTEXT, call

pytestmark = pytest.mark.e2e

OURS = {"app.kubernetes.io/managed-by": names.MANAGED_BY}
ABORTED = "https://127.0.0.1:9"
"""Nobody listens there."""


@pytest.fixture(scope="module")
def server(cluster):
    with serving("door") as made:
        yield made


@pytest.fixture
def place(server):
    """The namespace's name."""
    return server.namespace.name


def a_job(place, name="", owner="u1", **labels):
    """A Job that is suspended, so that no pod comes of it."""
    container = {"name": "pipeline", "image": "example.test/none:1"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    metadata = {
        "name": name or f"job-{secrets.token_hex(4)}",
        "namespace": place,
        "labels": OURS | {names.LABEL_INGEST_UID: owner} | labels,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"suspend": True, "template": {"spec": pod}},
    }


def refusal(server, question, **how):
    """With what the door says no."""
    with pytest.raises(ClusterError) as caught:
        server.ask(question, **how)
    return caught.value


def name_of(document):
    return document["metadata"]["name"]


def uid_of(document):
    return document["metadata"]["uid"]


def is_there(server, what):
    return bool(server.namespace.kubectl("get", what, "--ignore-not-found", "--output=name"))


# --- listing


def test_listing_is_whole_however_many_pages_it_has(server, place, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 2)
    group = {"test": "paging"}
    made = [a_job(place, **group) for _ in range(5)]
    foreign = a_job(place)
    foreign["metadata"]["labels"] = group
    server.namespace.apply(*made, foreign)
    before = requests("GET", "jobs")
    found = server.ask(lambda door: door.jobs([place]))
    ours = [job for job in found if job["metadata"]["labels"].get("test") == "paging"]
    assert sorted(map(name_of, ours)) == sorted(map(name_of, made))
    assert requests("GET", "jobs") - before == -(-len(found) // 2)


def test_listing_of_no_namespace_is_one_of_all(server, place):
    server.ingest("everywhere", suspend=True)
    found = server.ask(lambda door: door.ingests([]))
    assert (place, "everywhere") in [(i["metadata"]["namespace"], name_of(i)) for i in found]


def test_listing_of_several_namespaces_is_of_these_alone(server, place):
    server.ingest("here", suspend=True)
    found = server.ask(lambda door: door.ingests([place, "nowhere"]))
    assert "here" in map(name_of, found)
    assert {i["metadata"]["namespace"] for i in found} == {place}


def test_pods_of_a_job_are_found(server, place):
    job = a_job(place)
    job["spec"]["suspend"] = False
    job["spec"]["template"]["metadata"] = {"labels": OURS}
    made = server.ask(lambda door: door.create_job(job))

    async def pods(door):
        while not (found := await door.pods_of(place, name_of(made))):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return found, await door.pods_of_runs([place])

    of_job, of_runs = server.ask(pods)
    assert [p["metadata"]["ownerReferences"][0]["uid"] for p in of_job] == [uid_of(made)]
    assert uid_of(of_job[0]) in map(uid_of, of_runs)
    server.ask(lambda door: door.delete_job(place, name_of(made), uid_of(made)))


# --- Jobs


def test_job_that_is_made_twice_is_one(server, place):
    job = a_job(place)
    first = server.ask(lambda door: door.create_job(job))
    again = server.ask(lambda door: door.create_job(job))
    assert uid_of(first) == uid_of(again)


def test_job_of_the_name_that_works_for_another_is_not_adopted(server, place):
    job = a_job(place)
    server.ask(lambda door: door.create_job(job))
    error = refusal(server, lambda d: d.create_job(a_job(place, name_of(job), owner="u2")))
    assert name_of(job) in str(error)


def test_job_that_the_server_refuses_is_told_by_its_field(server, place):
    job = a_job(place)
    job["spec"]["backoffLimit"] = -1
    error = refusal(server, lambda door: door.create_job(job))
    assert (error.status, error.is_lasting) == (422, True)
    assert "spec.backoffLimit" in str(error)


def test_job_of_another_uid_is_not_deleted(server, place):
    made = server.ask(lambda door: door.create_job(a_job(place)))
    server.ask(lambda door: door.delete_job(place, name_of(made), "11111111-no-such-uid"))
    assert is_there(server, f"job/{name_of(made)}")


def test_deleted_job_goes_and_may_be_deleted_again(server, place):
    made = server.ask(lambda door: door.create_job(a_job(place)))
    for _ in range(2):
        server.ask(lambda door: door.delete_job(place, name_of(made), uid_of(made)))
    server.namespace.kubectl("wait", "--for=delete", f"job/{name_of(made)}", "--timeout=30s")


# --- ingests


def test_status_is_written_and_nothing_else(server, place):
    before = server.ingest("written", suspend=True)
    key = IngestKey(place, "written")
    patch = {"observedGeneration": 7}
    version = before["metadata"]["resourceVersion"]
    after = server.ask(lambda door: door.patch_status(key, version, patch))
    assert after["status"]["observedGeneration"] == 7
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_status_made_from_an_old_version_is_not_written(server, place):
    before = server.ingest("raced", suspend=True)
    key = IngestKey(place, "raced")
    server.ask(lambda door: door.wake(key, "now"))
    version = before["metadata"]["resourceVersion"]
    error = refusal(server, lambda door: door.patch_status(key, version, {"observedGeneration": 7}))
    assert (error.status, error.is_lasting) == (409, False)
    assert "status" not in server.namespace.get("salesingest/raced")


def test_status_of_an_ingest_that_is_gone_is_refused(server, place):
    key = IngestKey(place, "gone")
    error = refusal(server, lambda door: door.patch_status(key, "1", {"observedGeneration": 1}))
    assert error.status == 404


def test_ingest_may_be_called_like_a_version(server, place):
    server.ingest("v1", suspend=True)
    server.ask(lambda door: door.wake(IngestKey(place, "v1"), "now"))
    annotations = server.namespace.get("salesingest/v1")["metadata"]["annotations"]
    assert annotations[names.ANNOTATION_WAKE] == "now"


def test_event_that_is_posted_twice_is_one(server, place):
    made = server.ingest("told", suspend=True)
    notice = Notice("RunFailed", "exit code 75", is_warning=True, about="told-1")
    document = event(IngestKey(place, "told"), uid_of(made), notice, datetime.now(UTC))
    for _ in range(2):
        server.ask(lambda door: door.post_event(document))
    found = server.namespace.get("events", f"--field-selector=involvedObject.uid={uid_of(made)}")
    (only,) = found["items"]
    assert (only["reason"], only["type"], only["count"]) == ("RunFailed", "Warning", 1)
    assert "exit code 75" in server.namespace.kubectl("describe", "salesingest", "told")


# --- refusals


def test_whoever_is_not_known_is_told_so_and_the_token_is_not(server, place):
    error = refusal(server, lambda door: door.jobs([place]), token="hunter2-hunter2")
    assert (error.status, error.is_lasting) == (401, True)
    assert "hunter2" not in str(error)


def test_whoever_may_not_is_told_what_and_the_token_is_not(server, place):
    place_of_it = ("--context", CONTEXT, "--namespace", place)
    token = call("kubectl", *place_of_it, "create", "token", "default").strip()
    error = refusal(server, lambda door: door.create_job(a_job(place)), token=token)
    assert (error.status, error.is_lasting) == (403, True)
    assert "jobs.batch" in str(error)
    assert token not in str(error)


def test_kind_that_the_server_does_not_know_is_told_by_path_and_status(server, place):
    """As when the CRD is missing: the answer is no document then."""
    error = refusal(server, lambda door: door._list("/apis/nowhere.io/v1", "salesthings", [place]))
    assert error.status == 404
    assert str(error).endswith(f"/namespaces/{place}/salesthings: HTTP 404 and no reason")


def test_server_that_is_not_there_is_no_answer(server, place):
    error = refusal(server, lambda door: door.jobs([place]), at=ABORTED)
    assert (error.status, error.is_lasting) == (0, False)
    assert str(error).startswith(f"GET /apis/batch/v1/namespaces/{place}/jobs: no answer")


def test_server_that_never_answers_is_no_answer(server, place, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)

    async def asked():
        async with (
            Line(server.address, is_deaf=True).up() as line,
            connected(server.login(line.url)) as door,
        ):
            await door.jobs([place])

    with pytest.raises(ClusterError) as caught:
        asyncio.run(asked())
    assert caught.value.status == 0


# --- the guard


def test_whoever_does_not_lead_reads_and_changes_nothing(server, place):
    job = a_job(place)
    error = refusal(server, lambda door: door.guarded(lambda: False).create_job(job))
    assert "does not lead" in str(error)
    assert (error.status, error.is_lasting) == (0, False)
    found = server.ask(lambda door: door.guarded(lambda: False).jobs([place]))
    assert name_of(job) not in map(name_of, found)


def test_guard_is_asked_before_each_change(server, place):
    """Who loses the Lease between two requests makes the first change and not the second."""
    answers = iter([True, False])
    first, second = a_job(place), a_job(place)

    async def two(door):
        guarded = door.guarded(lambda: next(answers))
        await guarded.create_job(first)
        await guarded.create_job(second)

    refusal(server, two)
    assert is_there(server, f"job/{name_of(first)}")
    assert not is_there(server, f"job/{name_of(second)}")
