"""What happens is told once: nothing for what stays as it is, and no flood at first sight."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from sales_api.ingest import SalesIngestStatus
from sales_api.report import Files, RunReport
from sales_operator.notices import TURNS, notices
from sales_operator.observed import Epoch, Outcome, Plan, Problem
from sales_operator.status import refused, status
from tests.operator.making import NOW, a_run, ago, an_ingest, an_object, observed
from tests.operator.worlds import PATIENT, histories, with_told

DOWN = Problem("Unreachable", "the store does not answer")
PARKED = Plan(parked=(an_object(),))


def told(first, second, plan=None, then=None):
    """The notices between two looks."""
    before = status(first, plan or Plan())
    seen = with_told(second, before)
    return notices(before, status(seen, then or Plan()), seen)


def reasons(*arguments, **more):
    return [str(notice.reason) for notice in told(*arguments, **more)]


def first_sight(seen, plan=None):
    return [str(n.reason) for n in notices(SalesIngestStatus(), status(seen, plan or Plan()), seen)]


# --- nothing new


@PATIENT
@given(histories())
def test_of_what_stays_as_it_is_nothing_is_told(history):
    seen, plan = history
    after = status(seen, plan)
    again = with_told(seen, after)
    assert notices(after, status(again, plan), again) == ()


def test_at_first_sight_there_is_one_notice_however_much_runs():
    ended = [a_run(outcome=Outcome.CRASHED) for _ in range(5)]
    assert first_sight(observed(runs=[a_run(), a_run(), *ended])) == ["Accepted"]


def test_at_first_sight_trouble_is_told_of():
    assert first_sight(observed(source=DOWN)) == ["Accepted", "SourceUnreachable"]


def test_a_spec_that_is_refused_at_first_sight_is_not_accepted():
    before = SalesIngestStatus()
    found = notices(before, refused(before, 1, "spec.batch: no", NOW), None)
    assert [(str(n.reason), n.is_warning) for n in found] == [("InvalidSpec", True)]
    assert "spec.batch: no" in found[0].message


# --- runs


def test_a_run_that_began_is_told_of_once():
    run = a_run(an_object(), name="daily-1", attempt=2)
    (notice,) = told(observed(), observed(runs=[run]))
    assert (str(notice.reason), notice.is_warning) == ("RunStarted", False)
    assert notice.message == "daily-1 began: 1 object, attempt 2"
    assert reasons(observed(runs=[run]), observed(runs=[run])) == []


def test_a_sweep_is_told_of_as_one():
    (notice,) = told(observed(), observed(runs=[a_run(name="daily-1", is_sweep=True)]))
    assert notice.message == "daily-1 began: all that waits, attempt 1"


@pytest.mark.parametrize(
    ("outcome", "want"),
    [
        (Outcome.SUCCEEDED, ("RunSucceeded", False)),
        (Outcome.QUARANTINED, ("RunQuarantinedFiles", True)),
        (Outcome.TEMPORARY, ("RunFailed", True)),
        (Outcome.OUT_OF_MEMORY, ("RunFailed", True)),
    ],
)
def test_a_run_that_ended_is_told_of_once(outcome, want):
    run = a_run(outcome=outcome)
    (notice,) = told(observed(), observed(runs=[run]))
    assert (str(notice.reason), notice.is_warning) == want
    assert f"{run.name}, attempt 1: {outcome}" in notice.message
    assert reasons(observed(runs=[run]), observed(runs=[run])) == []


def test_runs_are_told_apart_even_if_a_later_one_has_the_name_of_an_earlier():
    first, second = a_run(name="daily-1"), a_run(name="daily-1")
    assert told(observed(), observed(runs=[first])) != told(observed(), observed(runs=[second]))


# --- what comes and goes

FRESHNESS = {"freshness": {"maxAgeHours": 1}}
LOADED = a_run(outcome=Outcome.SUCCEEDED, finished_at=NOW, report=RunReport(files=Files(loaded=1)))
WELL = observed(ingest=an_ingest(**FRESHNESS), runs=[LOADED])
TWO_HOURS_LATER = NOW + timedelta(hours=2)
NEWER = replace(LOADED, name="newer", uid="another", finished_at=TWO_HOURS_LATER)

TROUBLES = [
    (replace(WELL, source=DOWN), "SourceUnreachable", "SourceRecovered"),
    (replace(WELL, events=DOWN), "EventsNotReady", "EventsRecovered"),
    (replace(WELL, schedule=DOWN), "ScheduleNotReady", "ScheduleRecovered"),
    (replace(WELL, now=TWO_HOURS_LATER), "Stale", "FreshAgain"),
    (replace(WELL, ingest=an_ingest(suspend=True, **FRESHNESS)), "Suspended", "Resumed"),
]


@pytest.mark.parametrize(
    ("trouble", "comes", "goes"), TROUBLES, ids=[goes for _, _, goes in TROUBLES]
)
def test_what_comes_and_goes_is_told_of_both_times(trouble, comes, goes):
    assert comes in reasons(WELL, trouble)
    assert goes not in reasons(WELL, trouble)
    recovered = replace(WELL, now=TWO_HOURS_LATER, runs=(NEWER,))
    assert goes in reasons(trouble, recovered)
    assert comes not in reasons(trouble, recovered)


def test_all_but_being_suspended_is_a_warning():
    assert {str(turn.comes) for turn in TURNS if not turn.is_warning} == {"Suspended"}


def test_parked_objects_are_told_of_when_there_are_some_and_when_there_are_none():
    assert reasons(WELL, WELL, then=PARKED) == ["ObjectsParked"]
    assert reasons(WELL, WELL, plan=PARKED) == ["ObjectsReleased"]


def test_parked_objects_are_not_taken_for_released_while_the_source_is_down():
    down = replace(WELL, source=DOWN)
    assert reasons(WELL, down, plan=PARKED) == ["SourceUnreachable"]


def test_a_schedule_or_events_not_wanted_are_no_news():
    plain = an_ingest(trigger={"events": False, "schedule": ""}, **FRESHNESS)
    assert reasons(WELL, replace(WELL, ingest=plain)) == []
    assert reasons(replace(WELL, ingest=plain), WELL) == []


def test_a_spec_that_is_mended_is_told_of_and_nothing_else_is():
    before = refused(status(WELL, Plan()), 2, "no", NOW)
    seen = with_told(WELL, before)
    found = notices(before, status(seen, Plan()), seen)
    assert [str(notice.reason) for notice in found] == ["SpecAccepted"]


def test_a_spec_that_is_broken_is_told_of_and_nothing_seems_to_recover():
    before = status(replace(WELL, source=DOWN), Plan())
    found = notices(before, refused(before, 2, "no", NOW), None)
    assert [str(notice.reason) for notice in found] == ["InvalidSpec"]


def test_the_same_trouble_of_another_time_or_generation_is_another_notice():
    down = replace(WELL, source=DOWN)
    later = replace(down, now=ago(-60))
    edited = replace(down, ingest=an_ingest(epoch=Epoch(2), **FRESHNESS))
    found = {told(WELL, trouble)[0].about for trouble in (down, later, edited)}
    assert len(found) == 3
