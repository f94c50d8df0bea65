"""What a look sees, and what is remembered of finished runs: their pods are asked about once."""

import asyncio
from datetime import timedelta

from sales_api import names
from sales_api.ingest import Condition, SalesIngestStatus
from sales_api.report import Files, RunReport
from sales_operator.conditions import Type
from sales_operator.controller import Controller, Doors
from sales_operator.observed import Problem
from sales_operator.queue import Queue
from sales_operator.refusals import TOKEN_REFUSED, Span, Standing
from sales_operator.seen import Seen
from sales_operator.settings import PipelineJobs, Settings
from tests.operator.making import NOW, an_ingest
from tests.operator.test_runs import a_job, pods_of

REPORT = RunReport(files=Files(loaded=1))
SETTINGS = Settings(namespace="sales", pipeline=PipelineJobs(image="pipeline"))


class Api:
    """In place of an API server: notes which Jobs' pods it is asked for."""

    def __init__(self):
        self.asked = []

    async def pods_of(self, _namespace, job):
        self.asked.append(job)
        return pods_listed("exit-0")


def pods_listed(case):
    pods = pods_of(case, REPORT.to_message())
    for pod in pods:
        pod["metadata"]["ownerReferences"] = [{"uid": "job-uid"}]
    return pods


def job_listed(case, ingest, version):
    job = a_job(case)
    job["metadata"]["labels"] = {names.LABEL_INGEST_UID: ingest.uid}
    job["metadata"]["namespace"] = "sales"
    job["metadata"]["resourceVersion"] = str(version)
    return job


class Leader:
    """A controller and what it has seen."""

    def __init__(self):
        self.api, self.seen, self.ingest = Api(), Seen(), an_ingest()
        self.controller = Controller(
            SETTINGS, Doors(self.api, None, None, None), self.seen, Queue(), Standing()
        )

    def lists(self, job, pods):
        self.seen.replace([], [job], self.seen.begin_listing())
        self.controller.remember_pods([job], pods)

    def run(self):
        (run,) = asyncio.run(self.controller._runs(self.ingest))
        return run


def test_pods_that_were_listed_are_not_asked_for():
    leader = Leader()
    leader.lists(job_listed("exit-0", leader.ingest, 1), pods_listed("exit-0"))
    assert leader.run().report == REPORT
    assert leader.api.asked == []


def test_listing_them_again_remembers_no_more():
    """Or a resync every few minutes would fill the memory."""
    leader = Leader()
    for _ in range(3):
        leader.lists(job_listed("exit-0", leader.ingest, 1), pods_listed("exit-0"))
    assert [len(pods) for pods in leader.controller._pods.values()] == [1]


def test_job_that_ended_since_it_was_listed_is_asked_about():
    """Its pod was listed while it was at work, and does not have the report."""
    leader = Leader()
    listed = job_listed("exit-0", leader.ingest, 1)
    listed["status"].pop("conditions")
    leader.seen.replace([], [listed], leader.seen.begin_listing())
    leader.seen.tell("jobs", job_listed("exit-0", leader.ingest, 2), is_gone=False)
    running = pods_listed("exit-0")
    for pod in running:
        pod["status"]["containerStatuses"] = []
    leader.controller.remember_pods([listed], running)
    assert leader.run().report == REPORT
    assert len(leader.api.asked) == 1


def test_what_is_remembered_of_a_job_goes_with_it():
    leader = Leader()
    leader.lists(job_listed("exit-0", leader.ingest, 1), pods_listed("exit-0"))
    leader.seen.tell("jobs", job_listed("exit-0", leader.ingest, 2), is_gone=True)
    leader.controller.remember_pods([], [])
    assert leader.controller._pods == {}


# --- refused events


class Nothing:
    """In place of doors behind which all is well and nothing is there."""

    def __init__(self):
        self.problem = None

    def list(self, _source):
        return []

    async def ensure(self, *_asked):
        return self.problem


def events_seen(refusals, *, told="Subscribed", problem=None, **trigger):
    """What a look at an ingest sees of events."""
    nothing, subscriber = Nothing(), Nothing()
    subscriber.problem = problem
    doors = Doors(Api(), nothing, subscriber, nothing)
    controller = Controller(SETTINGS, doors, Seen(), Queue(), refusals)
    before = SalesIngestStatus(
        conditions=[
            Condition(
                type=Type.EVENTS_READY,
                status="True" if told == "Subscribed" else "False",
                observed_generation=1,
                last_transition_time=NOW,
                reason=told,
                message="",
            )
        ]
    )
    ingest = an_ingest(status=before, trigger={"schedule": "", **trigger})
    return asyncio.run(controller._observe(ingest)).events


def refused():
    refusals = Standing()
    refusals.refused(Span(NOW - timedelta(hours=1), NOW), NOW)
    return refusals


def test_refused_events_are_seen_by_a_look():
    assert events_seen(Standing()) is None
    assert events_seen(refused()) is TOKEN_REFUSED


def test_leader_that_starts_sees_what_was_told_of_events():
    assert events_seen(Standing(), told="TokenRefused") is TOKEN_REFUSED


def test_refused_events_are_nothing_to_whoever_wants_none():
    assert events_seen(refused(), events=False) is None


def test_rules_that_are_missing_tell_more_than_events_that_are_refused():
    """Without them there will be none."""
    denied = Problem("AccessDenied", "no", is_lasting=True)
    assert events_seen(refused(), problem=denied) is denied
