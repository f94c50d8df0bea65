"""What Jobs and pods tell: their statuses are as a cluster wrote them."""

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sales_api import names
from sales_api.report import ExitCode, Rows, RunReport
from sales_operator import jobs, runs
from sales_operator.observed import Epoch, Launch, Outcome, Run, RunState
from sales_operator.settings import PipelineJobs
from tests.operator.making import an_ingest, an_object

Document = dict[str, Any]

SEEN: dict[str, Document] = yaml.safe_load(
    (Path(__file__).parent / "golden" / "jobs-as-seen.yaml").read_text("utf-8")
)
CREATED = datetime(2026, 11, 24, 18, 21, 20, tzinfo=UTC)
OBJECTS = (an_object("raw/$(x)/a.csv"), an_object("raw/ü.csv", version_id="v1"))
PIPELINE = PipelineJobs(image="registry.example/sales-pipeline:1.0")
REPORT = RunReport(run="daily-1", exit_code=ExitCode.DATA, rows=Rows(read=3, loaded=3))

ENDS = {
    "exit-0": Outcome.SUCCEEDED,
    "exit-65": Outcome.QUARANTINED,
    "exit-75": Outcome.TEMPORARY,
    "exit-78": Outcome.CONFIGURATION,
    "oom": Outcome.OUT_OF_MEMORY,
    "deadline": Outcome.DEADLINE,
    "full": Outcome.CRASHED,
    "init-fails": Outcome.CRASHED,
}
ENDS_WITHOUT_PODS = ENDS | {"exit-75": Outcome.CRASHED, "oom": Outcome.CRASHED}
DELAYS = {
    "config-error": 'CreateContainerConfigError: secret "none" not found',
    "no-image": "ErrImagePull: the image docker.io/minidata/none:1 cannot be pulled",
    "no-secret": "ContainerCreating: waits for an image, a Secret, a ConfigMap or the network",
    "unschedulable": "Unschedulable: 0/1 nodes are available: 1 node(s) didn't match Pod's node "
    "affinity/selector.",
    "no-account": "NoPod: ",
    "not-restricted": "NoPod: ",
    "suspended": "suspended: waits for its queue",
}
DEATHS = {
    "oom": "OOMKilled: needs more than its memory limit of 768Mi",
    "full": 'Evicted: Usage of EmptyDir volume "tmp" exceeds the limit "1Mi".',
    "deadline": "DeadlineExceeded: Job was active longer than specified deadline",
    "init-fails": "the container agent ended before the run began, exit code 65",
    "exit-75": "exit code 75 and no report",
}


def a_job(case: str, *, sweep: bool = False) -> Document:
    """A Job of two objects (or a sweep), second attempt, in a state that was seen."""
    ingest = an_ingest(epoch=Epoch(3, "now"))
    job = jobs.job(ingest, Launch(OBJECTS, attempt=2), PIPELINE)
    cron_job = jobs.cron_job(ingest, PIPELINE)
    assert cron_job
    if sweep:
        job = {"metadata": {"name": "by-hand"}, "spec": {}}
        job["metadata"] |= cron_job["spec"]["jobTemplate"]["metadata"]
        job["spec"] = cron_job["spec"]["jobTemplate"]["spec"]
    job["metadata"] |= {"uid": "job-uid", "creationTimestamp": "2026-11-24T18:21:20Z"}
    job["status"] = copy.deepcopy(SEEN[case]["status"])
    job["spec"]["suspend"] = case == "suspended"
    return job


def pods_of(case: str, message: str | bytes = "") -> list[Document]:
    """The pods that were seen, the pipeline having left a message."""
    pods: list[Document] = copy.deepcopy(SEEN[case]["pods"])
    for pod in pods:
        pod["spec"] = a_job(case)["spec"]["template"]["spec"]
        for status in pod["status"].get("containerStatuses", []):
            if message and "terminated" in status["state"]:
                text = message if isinstance(message, str) else message.decode()
                status["state"]["terminated"]["message"] = text
    return pods


def seen(case: str, message: str | bytes = "") -> Run:
    """The run of a Job and its pods."""
    return runs.run_of(a_job(case), pods_of(case, message))


# --- what it was made for


def test_a_run_remembers_what_it_was_made_for() -> None:
    run = runs.run_of(a_job("exit-0"))
    assert run.objects == OBJECTS
    assert (run.attempt, run.epoch, run.is_sweep) == (2, Epoch(3, "now"), False)
    assert (run.uid, run.created_at) == ("job-uid", CREATED)
    assert run.name.startswith("daily-")


def test_a_job_made_from_the_cron_job_is_a_sweep() -> None:
    """By hand too: `kubectl create job --from` copies the template's labels."""
    run = runs.run_of(a_job("exit-0", sweep=True))
    assert (run.is_sweep, run.objects, run.epoch) == (True, (), Epoch(3, "now"))


def request_of(job: Document) -> Document:
    """The variable that carries a Job's request."""
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    found: Document = next(v for v in env if v["name"] == names.REQUEST_ENV)
    return found


@pytest.mark.parametrize("text", ["", "no JSON", '{"objects": [{"key": 1}]}', "[]"])
def test_a_request_that_cannot_be_read_names_no_objects(text: str) -> None:
    """Somebody's Job with our labels must not stop the operator."""
    job = a_job("exit-0")
    request_of(job)["value"] = text
    assert (runs.run_of(job).objects, runs.run_of(job).attempt) == ((), 1)


def test_a_request_of_another_version_still_tells_its_objects() -> None:
    job = a_job("exit-0")
    variable = request_of(job)
    variable["value"] = variable["value"].replace("run.minidata.io/v1alpha1", "run.minidata.io/v9")
    variable["value"] = variable["value"].replace('{"format":', '{"later":1,"format":')
    assert runs.run_of(job).objects == OBJECTS


def test_a_job_without_annotations_is_of_no_epoch_that_any_ingest_has() -> None:
    job = a_job("exit-0")
    job["metadata"]["annotations"] = {names.ANNOTATION_GENERATION: "many"}
    assert runs.run_of(job).epoch == Epoch(0)


# --- where it stands


@pytest.mark.parametrize("case", sorted(DELAYS))
def test_a_job_that_has_no_final_condition_is_live(case: str) -> None:
    run = seen(case)
    assert (run.state, run.outcome, run.finished_at) == (RunState.LIVE, None, None)
    assert runs.is_live(a_job(case))


@pytest.mark.parametrize("case", sorted(ENDS))
def test_a_condition_that_only_announces_the_end_is_not_the_end(case: str) -> None:
    """After SuccessCriteriaMet and FailureTarget pods are still at work."""
    job = a_job(case)
    job["status"]["conditions"].pop()
    assert job["status"]["conditions"][0]["type"] in {"SuccessCriteriaMet", "FailureTarget"}
    run = runs.run_of(job, pods_of(case, REPORT.to_message()))
    assert (run.state, run.outcome, run.report) == (RunState.LIVE, None, None)


def test_a_condition_that_does_not_hold_is_not_the_end() -> None:
    job = a_job("exit-75")
    for condition in job["status"]["conditions"]:
        condition["status"] = "False"
    assert runs.is_live(job)


def test_a_job_that_is_being_deleted_lives_until_it_is_gone() -> None:
    """Its pods may still commit."""
    job = a_job("no-secret")
    job["metadata"]["deletionTimestamp"] = "2026-11-24T18:22:00Z"
    assert runs.run_of(job).state is RunState.LIVE


def test_a_new_job_that_no_controller_has_seen_is_live() -> None:
    job = a_job("exit-0")
    del job["status"]
    run = runs.run_of(job)
    assert (run.state, run.started_at, run.trouble) == (RunState.LIVE, None, "")


# --- how it ended


@pytest.mark.parametrize(("case", "outcome"), ENDS.items())
def test_outcomes(case: str, outcome: Outcome) -> None:
    run = seen(case)
    assert run.outcome is outcome
    is_success = outcome is Outcome.SUCCEEDED
    assert run.state is (RunState.SUCCEEDED if is_success else RunState.FAILED)


@pytest.mark.parametrize(("case", "outcome"), ENDS_WITHOUT_PODS.items())
def test_outcomes_when_the_pod_is_gone(case: str, outcome: Outcome) -> None:
    """The Job itself still tells the codes that end it at once."""
    assert runs.run_of(a_job(case)).outcome is outcome


def test_when_a_run_began_and_ended() -> None:
    done, failed = seen("exit-0"), seen("deadline")
    assert (done.started_at, done.finished_at) == (CREATED, CREATED + timedelta(seconds=6))
    assert (failed.started_at, failed.finished_at) == (CREATED, CREATED + timedelta(seconds=7))


def test_the_report_is_the_message_of_the_pod_that_ended_last() -> None:
    """An evicted pod is replaced; what it left is not what became of the run."""
    last = pods_of("exit-65", REPORT.to_message())
    evicted = pods_of("exit-65", RunReport(run="earlier").to_message())
    evicted[0]["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = (
        "2026-11-24T18:21:21Z"
    )
    job = a_job("exit-65")
    assert runs.run_of(job, [*evicted, *last]).report == REPORT
    assert runs.run_of(job, [*last, *evicted]).report == REPORT


@pytest.mark.parametrize("message", ["", "Segmentation fault", '{"exitCode": 1', '{"exitCode": 9}'])
def test_a_message_that_is_no_report_is_none(message: str) -> None:
    assert seen("exit-65", message).report is None


def test_another_container_does_not_speak_for_the_run() -> None:
    pods = pods_of("exit-65", REPORT.to_message())
    other = {"name": "proxy", "state": {"terminated": {"exitCode": 0, "finishedAt": "2999"}}}
    pods[0]["status"]["containerStatuses"].append(other)
    run = runs.run_of(a_job("exit-65"), pods)
    assert (run.outcome, run.report) == (Outcome.QUARANTINED, REPORT)


def test_a_report_of_a_killed_run_counts_all_the_same() -> None:
    """It had done its work when the end came."""
    run = seen("full", REPORT.to_message())
    assert (run.outcome, run.report, run.trouble) == (Outcome.CRASHED, REPORT, "")


# --- what is wrong with it


@pytest.mark.parametrize(("case", "trouble"), DELAYS.items())
def test_why_a_run_does_not_get_going(case: str, trouble: str) -> None:
    assert seen(case).trouble.startswith(trouble)


@pytest.mark.parametrize(("case", "trouble"), DEATHS.items())
def test_why_a_run_ended_without_a_report(case: str, trouble: str) -> None:
    assert seen(case).trouble == trouble


def test_a_pod_that_is_gone_leaves_the_jobs_own_words() -> None:
    trouble = runs.run_of(a_job("exit-75")).trouble
    assert trouble == "BackoffLimitExceeded: Job has reached the specified backoff limit"


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"active": 1},
        {"terminating": 1},
        {"uncountedTerminatedPods": {"failed": ["pod-uid"]}},
        {"conditions": [{"type": "FailureTarget", "status": "True"}]},
    ],
)
def test_a_job_whose_pod_comes_or_goes_is_not_said_to_get_none(status: Document) -> None:
    job = a_job("no-account")
    begun = {"startTime": job["status"]["startTime"]} if status else {}
    job["status"] = begun | status
    assert runs.run_of(job).trouble == ""


def test_nothing_is_wrong_with_a_run_that_works_or_has_reported() -> None:
    job = a_job("no-secret")
    job["status"]["ready"] = 1
    assert runs.run_of(job).trouble == ""
    assert seen("exit-0").trouble == ""
    assert seen("exit-65", REPORT.to_message()).trouble == ""


def test_a_registry_is_not_quoted() -> None:
    """Its words may hold an address with a token."""
    said = SEEN["no-image"]["pods"][0]["status"]["containerStatuses"][0]["state"]["waiting"]
    assert "https://registry-1.docker.io" in said["message"]
    assert "https:" not in seen("no-image").trouble


def test_trouble_is_one_short_line() -> None:
    pods = pods_of("unschedulable")
    pods[0]["status"]["conditions"][0]["message"] = "many nodes\n" * 100
    trouble = runs.run_of(a_job("unschedulable"), pods).trouble
    assert "\n" not in trouble
    assert len(trouble) == 200


# --- when pods are worth a look


def needs_pods(case: str, *, after: float, **status: Any) -> bool:
    """Whether a Job's pods are worth a look so many seconds after its start."""
    job = a_job(case)
    job["status"] |= status
    return runs.needs_pods(job, CREATED + timedelta(seconds=after))


@pytest.mark.parametrize("case", sorted(ENDS))
def test_the_pods_of_a_finished_job_are_looked_at(case: str) -> None:
    assert needs_pods(case, after=0)


def test_the_pods_of_a_slow_job_are_looked_at() -> None:
    assert not needs_pods("no-secret", after=20)
    assert needs_pods("no-secret", after=21)


def test_the_pods_of_a_job_at_work_are_left_alone() -> None:
    assert not needs_pods("no-secret", after=1000, ready=1)


def test_a_suspended_job_and_one_that_nobody_has_begun_have_no_pods() -> None:
    assert not needs_pods("suspended", after=1000, startTime="2026-11-24T18:21:20Z")
    new = a_job("no-secret")
    new["status"] = {}
    assert not runs.needs_pods(new, CREATED + timedelta(hours=1))
