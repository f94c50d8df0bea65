"""What the leader remembers of finished runs, so that their pods are asked about once at most."""

import asyncio

from sales_api import names
from sales_api.report import Files, RunReport
from sales_operator.controller import Controller, Doors
from sales_operator.queue import Queue
from sales_operator.seen import Seen
from sales_operator.settings import PipelineJobs, Settings
from tests.operator.making import an_ingest
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
            SETTINGS, Doors(self.api, None, None, None), self.seen, Queue()
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
