"""Each finished run is counted once, and nothing in a status grows without bound."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.ingest import FileCounts, SalesIngestStatus
from sales_api.report import Files, Rows, RunReport
from sales_operator.counting import count
from sales_operator.observed import Outcome, Plan, Problem
from sales_operator.status import status
from tests.operator import worlds
from tests.operator.making import NOW, a_run, ago, an_object, observed
from tests.operator.worlds import PATIENT, with_told

REPORT = RunReport(
    files=Files(loaded=3, already_loaded=20, quarantined=1, gone=30, failed=40),
    rows=Rows(read=100, loaded=90, rejected=8, deduplicated=2),
)


def done(**more):
    return a_run(**{"outcome": Outcome.SUCCEEDED, "report": REPORT} | more)


def counts(*runs, told=None, plan=None, **surroundings):
    seen = observed(runs=runs, **surroundings)
    return count(with_told(seen, told) if told else seen, plan or Plan())


# --- once


def test_a_finished_run_adds_what_its_report_says_to_what_was_counted():
    told = SalesIngestStatus(files=FileCounts(loaded=10, quarantined=5), rows=Rows(read=7))
    after = counts(done(), told=told)
    assert (after.files.loaded, after.files.quarantined) == (13, 6)
    assert after.rows == Rows(read=107, loaded=90, rejected=8, deduplicated=2)


def test_a_run_is_known_by_the_beginning_of_its_uid():
    run = done()
    assert counts(run).counted == [run.uid[:8]]


def test_a_run_that_is_counted_is_not_counted_again():
    run = done()
    told = status(observed(runs=[run]), Plan())
    assert counts(run, told=told).rows == told.rows == REPORT.rows


def test_a_run_without_a_report_counts_nothing_and_is_known():
    run = a_run(outcome=Outcome.CRASHED)
    after = counts(run)
    assert (after.files, after.rows, after.counted) == (FileCounts(), Rows(), [run.token])


def test_a_live_run_is_not_counted():
    assert counts(a_run()).counted == []


def test_a_run_that_failed_counts_what_it_did():
    assert counts(done(outcome=Outcome.TEMPORARY)).files.loaded == 3


def test_a_run_that_is_gone_is_forgotten():
    run, gone = done(), done()
    told = status(observed(runs=[run, gone]), Plan())
    after = counts(run, told=told)
    assert after.counted == [run.token]
    assert after.rows == told.rows


def test_of_very_many_runs_the_newest_are_known_and_still_none_is_counted_twice():
    runs = [done(finished_at=ago(seconds)) for seconds in range(1030)]
    told = status(observed(runs=runs), Plan())
    assert len(told.counted) == 1024
    assert runs[0].token in told.counted
    assert counts(*runs, told=told).rows == told.rows


@PATIENT
@given(
    st.lists(worlds.runs(), max_size=9, unique_by=(lambda r: r.uid, lambda r: r.name)), st.data()
)
def test_in_whatever_portions_runs_are_seen_the_sum_is_the_same(runs, data):
    """A look may see some of them ended, the next one more; in the end all are counted once."""
    told = SalesIngestStatus()
    for size in (*data.draw(st.lists(st.integers(0, 9), max_size=4).map(sorted)), 9):
        told = status(with_told(observed(runs=runs[:size]), told), Plan())
    reports = [run.report for run in runs if run.report]
    assert told.rows == sum((report.rows for report in reports), Rows())
    assert told.files.loaded == sum(report.files.loaded for report in reports)


def test_a_report_that_lies_cannot_make_a_status_that_cannot_be_written():
    much = RunReport(files=Files(loaded=10**15), rows=Rows(read=10**15))
    after = counts(done(report=much), done(report=much))
    assert after.files.loaded == after.rows.read == 10**15


# --- as it is now


def test_objects_that_wait_run_and_are_parked_are_counted_anew_each_time():
    told = SalesIngestStatus(files=FileCounts(pending=9, running=9, failed=9))
    files = counts(told=told, plan=Plan(pending=1, running=2, parked=(an_object(),))).files
    assert (files.pending, files.running, files.failed) == (1, 2, 1)


def test_while_the_source_cannot_be_listed_the_last_listing_counts():
    told = SalesIngestStatus(files=FileCounts(pending=7, running=8, failed=9))
    down = Problem("Unreachable", "no answer")
    files = counts(told=told, plan=Plan(running=2), source=down).files
    assert (files.pending, files.running, files.failed) == (7, 2, 9)


def test_active_jobs_are_the_live_ones_by_name_and_at_most_64():
    runs = [a_run(name=f"daily-{n:02d}") for n in reversed(range(70))]
    assert counts(*runs, done()).active_jobs == [f"daily-{n:02d}" for n in range(64)]


# --- what ended


def ended(name, seconds, **more):
    return done(name=name, finished_at=ago(seconds), **more)


def test_the_last_run_is_the_one_that_ended_last_and_then_the_last_by_name():
    assert counts(ended("a", 5), ended("c", 9), ended("b", 5), a_run()).last_run.job == "b"


def test_recent_runs_are_at_most_five_the_newest_first():
    runs = [ended(f"daily-{n}", n) for n in (3, 1, 6, 2, 5, 4)]
    assert [run.job for run in counts(*runs).recent_runs] == [f"daily-{n}" for n in (1, 2, 3, 4, 5)]


def test_runs_whose_jobs_are_gone_are_still_told_of():
    told = status(observed(runs=[ended("old", 9), ended("older", 99)]), Plan())
    after = counts(ended("new", 1), ended("oldest", 999), told=told)
    assert [run.job for run in after.recent_runs] == ["new", "old", "older", "oldest"]
    assert counts(told=told).last_run.job == "old"


def test_a_run_is_summed_up():
    run = done(name="daily-1", attempt=3, outcome=Outcome.QUARANTINED)
    assert counts(run).last_run.model_dump() == {
        "job": "daily-1",
        "attempt": 3,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "outcome": "FilesQuarantined",
        "rows": REPORT.rows.model_dump(),
    }


def test_a_run_whose_end_nobody_saw_crashed_when_it_was_made():
    run = replace(a_run(outcome=Outcome.CRASHED), outcome=None, finished_at=None)
    last = counts(run).last_run
    assert (last.outcome, last.finished_at) == ("Crashed", run.created_at)


NOTHING = RunReport(files=Files(already_loaded=1))


@pytest.mark.parametrize(
    ("outcome", "report", "counts_as_load"),
    [
        (Outcome.SUCCEEDED, REPORT, True),
        (Outcome.SUCCEEDED, None, True),
        (Outcome.SUCCEEDED, NOTHING, False),
        (Outcome.QUARANTINED, REPORT, True),
        (Outcome.QUARANTINED, NOTHING, False),
        (Outcome.QUARANTINED, None, False),
        (Outcome.TEMPORARY, REPORT, False),
    ],
)
def test_a_success_is_a_run_that_loaded(outcome, report, counts_as_load):
    run = done(outcome=outcome, report=report)
    assert counts(run).last_success_time == (run.finished_at if counts_as_load else None)


def test_the_last_success_outlives_its_job_and_is_the_newest():
    told = status(observed(runs=[ended("a", 60)]), Plan())
    assert counts(told=told).last_success_time == ago(60)
    assert counts(ended("b", 90), told=told).last_success_time == ago(60)
    assert counts(ended("b", 30), told=told).last_success_time == NOW - timedelta(seconds=30)
