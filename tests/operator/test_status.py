"""A status is made from what was told and what is seen: made again it is the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.ingest import FileCounts, SalesIngestStatus
from sales_operator.observed import Epoch, Outcome, Plan
from sales_operator.status import patch_of, refused, status, to_json
from tests.operator.making import NOW, a_run, an_ingest, an_object, observed
from tests.operator.worlds import PATIENT, histories, sights, with_told

NIGHTLY = {"schedule": "0 2 * * *", "timeZone": "Europe/Berlin"}


def merged(document, patch):
    """What the API server makes of a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    base = dict(document) if isinstance(document, dict) else {}
    changed = {key: merged(base.get(key), value) for key, value in patch.items()}
    return {key: value for key, value in (base | changed).items() if value is not None}


# --- made again


@PATIENT
@given(histories(), st.integers(0, 59))
def test_a_status_made_again_within_the_minute_is_the_same(history, seconds):
    seen, plan = history
    after = status(seen, plan)
    later = replace(with_told(seen, after), now=seen.now + timedelta(seconds=seconds))
    assert status(later, plan) == after


@PATIENT
@given(histories())
def test_a_status_that_was_written_and_read_again_is_the_same(history):
    seen, plan = history
    document = to_json(status(seen, plan))
    read = SalesIngestStatus.model_validate(document)
    assert to_json(status(with_told(seen, read), plan)) == document


@PATIENT
@given(histories())
def test_a_refusal_made_again_is_the_same(history):
    once = refused(status(*history), 4, "no", NOW)
    assert refused(once, 4, "no", NOW + timedelta(hours=1)) == once


def test_the_status_is_of_the_generation_that_was_seen():
    assert status(observed(ingest=an_ingest(epoch=Epoch(9))), Plan()).observed_generation == 9


# --- the next scheduled run


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        ({"trigger": NIGHTLY}, datetime(2026, 3, 2, 1, tzinfo=UTC)),
        ({"trigger": NIGHTLY, "suspend": True}, None),
        ({"trigger": {"schedule": ""}}, None),
    ],
)
def test_the_next_scheduled_run(spec, want):
    assert status(observed(ingest=an_ingest(**spec)), Plan()).next_schedule_time == want


# --- written


def test_a_status_is_written_as_the_resource_has_it():
    run = a_run(outcome=Outcome.SUCCEEDED, name="daily-1")
    document = to_json(status(observed(runs=[run]), Plan(pending=1)))
    assert document["files"]["pending"] == 1
    assert document["lastRun"]["finishedAt"] == "2026-03-01T11:59:50Z"
    assert document["nextScheduleTime"] == "2026-03-02T02:00:00Z"
    assert document["conditions"][0]["lastTransitionTime"] == "2026-03-01T12:00:00Z"


def test_what_is_not_known_is_left_out_and_lists_are_always_there():
    document = to_json(status(observed(ingest=an_ingest(suspend=True)), Plan()))
    assert set(document) == {
        "observedGeneration", "conditions", "files", "rows", "recentRuns", "activeJobs", "counted",
    }  # fmt: skip


@PATIENT
@given(sights(), sights())
def test_the_patch_makes_one_status_of_another(first, second):
    before, after = to_json(status(*first)), status(*second)
    assert merged(before, patch_of(before, after)) == to_json(after)


@PATIENT
@given(histories())
def test_equal_statuses_need_no_patch(history):
    after = status(*history)
    assert patch_of(to_json(after), after) == {}


def test_the_first_patch_is_the_whole_status():
    after = status(observed(an_object()), Plan(pending=1))
    assert patch_of({}, after) == to_json(after)


def test_a_patch_holds_what_changed_and_takes_away_what_is_gone():
    before = {"nextScheduleTime": "x", "files": {"pending": 1, "old": 2}, "strange": {"a": 1}}
    patch = patch_of(before, SalesIngestStatus(files=FileCounts(loaded=3)))
    assert patch["nextScheduleTime"] is None
    assert patch["strange"] is None
    assert patch["files"] == {
        "pending": 0, "running": 0, "loaded": 3, "quarantined": 0, "failed": 0, "old": None
    }  # fmt: skip
