"""An ingest's CronJob is what its spec says, at the price of no request while nothing changes."""

import json
import secrets

import pytest

from sales_api import names
from sales_operator.cron import CronJobs
from sales_operator.reading import read_ingest
from sales_operator.settings import PipelineJobs
from tests.e2e.connecting import requests, serving

pytestmark = pytest.mark.e2e

PIPELINE = PipelineJobs(image="example.test/none:1")
YEARLY = "0 0 1 1 *"


@pytest.fixture(scope="module")
def server(cluster):
    with serving("cron") as made:
        yield made


class Kept:
    """One ingest, and what keeps its CronJob; its door is another one each time."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.cron_jobs = CronJobs(None, PIPELINE)
        self.spec(schedule=YEARLY)

    def spec(self, *, suspend=False, **trigger):
        self.document = self.server.ingest(self.name, suspend=suspend, trigger=trigger)

    def ensure(self, **changed):
        """Look once; a changed trigger is one that the CRD would not have let in."""
        ingest = read_ingest(self.document)
        if changed:
            trigger = ingest.spec.trigger.model_copy(update=changed)
            spec = ingest.spec.model_copy(update={"trigger": trigger})
            ingest = type(ingest)(**(vars(ingest) | {"spec": spec}))

        async def asked(door):
            self.cron_jobs._cluster = door
            return await self.cron_jobs.ensure(ingest)

        return self.server.ask(asked)

    def compare(self):
        place = self.server.namespace.name
        self.cron_jobs.compare(self.server.ask(lambda door: door.cron_jobs([place])))

    def writes(self, **changed):
        """How many requests a look costs."""
        before = requests("PATCH", "cronjobs") + requests("DELETE", "cronjobs")
        assert self.ensure(**changed) is None
        return requests("PATCH", "cronjobs") + requests("DELETE", "cronjobs") - before

    def goes(self):
        """Wait until its CronJob is gone: its Jobs are let go first, by somebody else."""
        self.kubectl("wait", "--for=delete", f"cronjob/{self.name}", "--timeout=30s")

    def there(self):
        return self.server.namespace.get(f"cronjob/{self.name}")

    def kubectl(self, *args):
        return self.server.namespace.kubectl(*args)


@pytest.fixture
def kept(server):
    """An ingest with a schedule that does not fire while we look, and its CronJob."""
    made = Kept(server, f"kept-{secrets.token_hex(4)}")
    assert made.ensure() is None
    return made


def test_cron_job_is_what_the_spec_says_and_belongs_to_the_ingest(kept):
    there = kept.there()
    assert (there["spec"]["schedule"], there["spec"]["timeZone"]) == (YEARLY, "Etc/UTC")
    assert there["spec"]["concurrencyPolicy"] == "Forbid"
    (owner,) = there["metadata"]["ownerReferences"]
    assert owner["uid"] == kept.document["metadata"]["uid"]


def test_nothing_changed_costs_no_request(kept):
    assert [kept.writes() for _ in range(3)] == [0, 0, 0]
    kept.compare()
    assert kept.writes() == 0


def test_edited_spec_is_applied_once(kept):
    kept.spec(schedule="0 0 2 1 *")
    assert [kept.writes(), kept.writes()] == [1, 0]
    assert kept.there()["spec"]["schedule"] == "0 0 2 1 *"


def test_suspended_ingest_suspends_its_cron_job_and_back(kept):
    kept.spec(schedule=YEARLY, suspend=True)
    kept.ensure()
    assert kept.there()["spec"]["suspend"] is True
    kept.spec(schedule=YEARLY)
    kept.ensure()
    assert kept.there()["spec"]["suspend"] is False


def test_cron_job_that_was_deleted_by_hand_comes_back_with_the_next_listing(kept):
    kept.kubectl("delete", "cronjob", kept.name)
    kept.compare()
    assert kept.writes() == 1
    assert kept.there()


def test_cron_job_that_was_edited_by_hand_is_set_right_with_the_next_listing(kept):
    patch = json.dumps({"spec": {"schedule": "* * * * *"}})
    kept.kubectl("patch", "cronjob", kept.name, "--type=merge", f"--patch={patch}")
    kept.compare()
    assert kept.writes() == 1
    assert kept.there()["spec"]["schedule"] == YEARLY


def test_what_was_not_ours_to_say_stays(kept):
    """A label of somebody else's, and it costs no request either."""
    kept.kubectl("label", "cronjob", kept.name, "theirs=yes")
    kept.compare()
    assert kept.writes() == 0
    kept.spec(schedule="0 0 3 1 *")
    kept.ensure()
    assert kept.there()["metadata"]["labels"]["theirs"] == "yes"


def test_new_operator_takes_over_what_an_earlier_one_made(kept):
    kept.cron_jobs = CronJobs(None, PIPELINE)
    kept.compare()
    before = kept.there()["metadata"]
    assert kept.writes() == 1
    assert kept.there()["metadata"]["uid"] == before["uid"]
    assert kept.there()["metadata"]["generation"] == before["generation"]


# --- what cannot be


def test_schedule_that_the_server_refuses_is_a_lasting_problem_and_asked_once(kept):
    problem = kept.ensure(schedule="every full moon")
    assert (problem.reason, problem.is_lasting) == ("ScheduleRefused", True)
    assert "spec.schedule" in problem.message
    before = requests("PATCH", "cronjobs")
    assert kept.ensure(schedule="every full moon") == problem
    assert requests("PATCH", "cronjobs") == before


def test_schedule_that_was_refused_is_tried_again_after_a_listing(kept):
    kept.ensure(schedule="every full moon")
    kept.compare()
    before = requests("PATCH", "cronjobs")
    assert kept.ensure(schedule="every full moon").is_lasting
    assert requests("PATCH", "cronjobs") == before + 1


def test_mended_schedule_is_no_problem_any_more(kept):
    kept.ensure(schedule="every full moon")
    assert kept.writes() == 1
    assert kept.there()["spec"]["schedule"] == YEARLY


def test_spec_that_no_job_can_carry_is_a_lasting_problem(kept):
    document = kept.document
    kept.document = document | {"spec": document["spec"] | too_large()}
    problem = kept.ensure()
    assert (problem.reason, problem.is_lasting) == ("RequestTooLarge", True)
    assert "larger than" in problem.message


def too_large():
    """A part of a spec that is within its bounds: 256 names of 255 characters, in 4 bytes each."""
    many = [f"{n:03}" + 252 * "\U0001f9fe" for n in range(256)]
    return {"format": {"header": False, "headerNames": many}}


# --- without a schedule


def test_ingest_without_a_schedule_has_no_cron_job_and_costs_no_request(kept):
    kept.spec(schedule="")
    assert [kept.writes(), kept.writes()] == [1, 0]
    kept.goes()
    kept.compare()
    assert kept.writes() == 0


def test_cron_job_of_an_earlier_operator_goes_with_the_schedule(kept):
    kept.spec(schedule="")
    kept.cron_jobs = CronJobs(None, PIPELINE)
    kept.compare()
    kept.ensure()
    kept.goes()


def test_cron_job_that_a_listing_missed_goes_with_the_schedule(kept):
    """It was applied while the listing was under way."""
    kept.cron_jobs.compare([])
    kept.spec(schedule="")
    kept.ensure()
    kept.goes()


def test_cron_job_that_is_gone_already_is_no_trouble(kept):
    kept.kubectl("delete", "cronjob", kept.name)
    kept.spec(schedule="")
    assert kept.ensure() is None


def test_running_job_outlives_the_schedule(kept):
    job = f"{kept.name[:40]}-by-hand"
    kept.kubectl("create", "job", job, f"--from=cronjob/{kept.name}")
    kept.spec(schedule="")
    kept.ensure()
    kept.goes()
    there = kept.server.namespace.get(f"job/{job}")
    assert "deletionTimestamp" not in there["metadata"]
    assert there["metadata"]["labels"][names.LABEL_INGEST_UID] == kept.document["metadata"]["uid"]
    # Nobody will delete it for want of an owner.
    owners = there["metadata"].get("ownerReferences", [])
    assert "CronJob" not in [owner["kind"] for owner in owners]
