"""The scheduled run does its work with nobody there to start it, and doubles nothing."""

import pytest

from tests.e2e.ingests import Ingest, away, ended, is_done, large_file, sales_of
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EVERY_MINUTE = {"schedule": "* * * * *"}
YEARLY = {"schedule": "0 0 1 1 *"}
ROWS = 10


def file(ingest, place):
    """A file with orders of its own."""
    return as_csv(sales_of(ingest.name, range(place * ROWS, place * ROWS + ROWS)))


def run_now(ingest, job):
    """What operations.md says to do for a run right now."""
    ingest.namespace.kubectl("create", "job", job, f"--from=cronjob/{ingest.name}")


def until_complete(ingest, job):
    wait = ("wait", f"job/{job}", "--for=condition=Complete", "--timeout=90s")
    ingest.namespace.kubectl(*wait, timeout=100)


@pytest.fixture(scope="module")
def alone(installation):
    """Two ingests, whose files were loaded while no operator was there: by clock, and by hand."""
    by_clock = Ingest.make(installation, "by-clock", trigger=EVERY_MINUTE)
    on_demand = Ingest.make(installation, "on-demand", trigger=YEARLY)
    for ingest in (by_clock, on_demand):
        ingest.wait("condition=ScheduleReady")
    with away(installation.namespace, "deployment/operator", 2):
        for ingest in (by_clock, on_demand):
            ingest.put({f"{n}.csv": file(ingest, n) for n in range(2)})
        run_now(on_demand, "on-demand-now")
        until_complete(on_demand, "on-demand-now")
        by_clock.until_job(lambda job: ended(job) and not by_clock.keys("raw"), 120)
        swept = {
            ingest.name: (ingest.keys("raw"), ingest.ledger()) for ingest in (by_clock, on_demand)
        }
    return by_clock, on_demand, swept


@pytest.mark.parametrize("name", ["by-clock", "on-demand"])
def test_what_lies_there_is_loaded_without_the_operator(alone, name):
    """By the CronJob, or by a Job made from it by hand."""
    by_clock, on_demand, swept = alone
    left, ledger = swept[name]
    assert left == []
    assert [(row["status"], row["rows_loaded"]) for row in ledger] == [("loaded", ROWS)] * 2
    ingest = by_clock if name == "by-clock" else on_demand
    assert {row["run"] for row in ledger} <= {job["metadata"]["name"] for job in ingest.jobs()}


def test_operator_that_comes_back_counts_what_was_done_and_does_nothing_again(alone):
    _, on_demand, _ = alone
    status = on_demand.until(lambda s: is_done(s, 2) and s.get("lastRun"))
    assert (status["files"]["loaded"], status["rows"]["loaded"]) == (2, 2 * ROWS)
    assert [job["metadata"]["name"] for job in on_demand.jobs()] == ["on-demand-now"]
    assert len(on_demand.ledger()) == 2
    assert on_demand.facts() == 2 * ROWS


def test_sweep_and_run_at_once_double_nothing(installation):
    """The operator is up: the same object may be in both."""
    rows = 100_000
    ingest = Ingest.make(installation, "at-once", trigger=YEARLY)
    ingest.wait("condition=ScheduleReady")
    ingest.put({"large.csv": large_file(110, rows)})
    ingest.until_job(lambda job: not ended(job))
    run_now(ingest, "at-once-now")
    until_complete(ingest, "at-once-now")
    ingest.until(lambda s: is_done(s, 1) and len(s.get("recentRuns", [])) == 2)
    (row,) = ingest.ledger()
    assert (row["status"], row["rows_loaded"]) == ("loaded", rows)
    assert ingest.facts() == rows
    assert ingest.status()["rows"]["loaded"] == rows
