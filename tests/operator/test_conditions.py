"""The conditions tell what is so, all eight, and none contradicts another."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from sales_api.ingest import ConditionStatus, RunSummary, SalesIngestStatus
from sales_api.report import Files, ReportedError, Rows, RunReport
from sales_operator.conditions import Type, find
from sales_operator.observed import Epoch, Outcome, Plan, Problem
from sales_operator.status import refused, status
from tests.operator.making import NOW, a_run, ago, an_ingest, an_object, observed
from tests.operator.worlds import PATIENT, histories, with_told

DENIED = Problem(
    "AccessDenied", "the store refuses access to sales. Check its policy.", is_lasting=True
)
DOWN = Problem("Unreachable", "the store does not answer")


def told(seen, kind, plan=None):
    """Status, reason and message of one condition."""
    condition = find(status(seen, plan or Plan()), kind)
    return condition.status.value, condition.reason, condition.message


def verdict(seen, kind, plan=None):
    return " ".join(told(seen, kind, plan)[:2])


def summary(seen, plan=None):
    return [verdict(seen, kind, plan) for kind in (Type.READY, Type.RECONCILING, Type.STALLED)]


def suspended(**more):
    return an_ingest(suspend=True, **more)


# --- all together


def test_a_healthy_ingest_at_first_sight():
    now = [f"{c.type} {c.status} {c.reason}" for c in status(observed(), Plan()).conditions]
    assert now == [
        "Ready True Ready",
        "Reconciling False UpToDate",
        "Stalled False NotStalled",
        "SourceReachable True Listed",
        "EventsReady True Subscribed",
        "ScheduleReady True Scheduled",
        "LastRunSucceeded Unknown NoRunYet",
        "Fresh Unknown NotWatched",
    ]


@PATIENT
@given(histories())
def test_all_conditions_are_always_there_in_one_order_and_of_this_generation(history):
    seen, plan = history
    conditions = status(seen, plan).conditions
    assert [c.type for c in conditions] == list(Type)
    assert {c.observed_generation for c in conditions} == {seen.ingest.epoch.generation}


@PATIENT
@given(histories())
def test_no_condition_contradicts_another(history):
    seen, plan = history
    after = status(seen, plan)
    is_true = {c.type: c.status is ConditionStatus.TRUE for c in after.conditions}
    reason = {c.type: c.reason for c in after.conditions}
    assert not (is_true[Type.READY] and is_true[Type.STALLED])
    assert not is_true[Type.READY] or is_true[Type.SOURCE_REACHABLE]
    assert not is_true[Type.READY] or reason[Type.SCHEDULE_READY] in {"Scheduled", "NotScheduled"}
    assert not is_true[Type.READY] or after.files.failed == 0
    assert is_true[Type.STALLED] or after.files.failed == 0
    assert is_true[Type.RECONCILING] or not after.active_jobs
    is_well = is_true[Type.READY] and not is_true[Type.RECONCILING]
    assert not is_well or reason[Type.RECONCILING] == "UpToDate"
    last = after.last_run.outcome if after.last_run else None
    assert is_true[Type.LAST_RUN_SUCCEEDED] == (last == "Succeeded")
    assert is_true[Type.LAST_RUN_SUCCEEDED] or reason[Type.LAST_RUN_SUCCEEDED] in {last, "NoRunYet"}


@PATIENT
@given(histories())
def test_what_is_idle_and_stalled_gives_one_reason_for_both(history):
    after = status(*history)
    reconciling, stalled = find(after, Type.RECONCILING), find(after, Type.STALLED)
    if reconciling.reason not in {"Suspended", "UpToDate"} and reconciling.status == "False":
        assert stalled.status is ConditionStatus.TRUE
        assert stalled.reason == reconciling.reason
    if reconciling.reason == "UpToDate":
        assert stalled.status is ConditionStatus.FALSE


@PATIENT
@given(histories())
def test_no_message_is_longer_than_kubernetes_takes(history):
    assert max(len(c.message) for c in status(*history).conditions) <= 1024


# --- history


def test_the_time_of_a_condition_stays_while_its_status_does():
    seen = observed(source=DOWN)
    later = with_told(replace(seen, now=NOW + timedelta(hours=1)), status(seen, Plan()))
    condition = find(status(replace(later, source=DENIED), Plan()), Type.SOURCE_REACHABLE)
    assert (condition.reason, condition.last_transition_time) == ("AccessDenied", NOW)


def test_the_time_of_a_condition_is_when_its_status_changed_in_whole_seconds():
    later = with_told(observed(), status(observed(source=DOWN), Plan()))
    moment = NOW + timedelta(hours=1)
    seen = replace(later, now=moment + timedelta(microseconds=7))
    assert find(status(seen, Plan()), Type.SOURCE_REACHABLE).last_transition_time == moment


# --- the summary


def test_a_lasting_problem_of_the_source_waits_for_a_human():
    assert summary(observed(source=DENIED)) == [
        "False AccessDenied",
        "False AccessDenied",
        "True AccessDenied",
    ]


def test_a_passing_problem_of_the_source_is_tried_again():
    assert summary(observed(source=DOWN)) == [
        "False Unreachable",
        "True Unreachable",
        "False NotStalled",
    ]


def test_a_lasting_problem_tells_more_than_a_passing_one():
    seen = observed(source=DOWN, schedule=Problem("CronJobRefused", "bad zone", is_lasting=True))
    assert summary(seen) == ["False CronJobRefused", "True Unreachable", "True CronJobRefused"]


def test_jobs_that_are_refused_make_it_not_ready():
    seen = observed(launching=Problem("JobRefused", "quota"))
    assert summary(seen)[:2] == ["False JobRefused", "True JobRefused"]


def test_parked_objects_wait_for_a_human_who_is_told_how_many_and_what_to_type():
    parked = (an_object("raw/b.csv"), an_object("raw/a.csv", modified_at=ago(days=1)))
    plan = Plan(parked=parked, parked_because=Outcome.TEMPORARY)
    assert summary(observed(), plan) == ["False ObjectsParked"] * 2 + ["True ObjectsParked"]
    assert told(observed(), Type.STALLED, plan)[2] == (
        "parked: 2 objects, the oldest is raw/a.csv, whose last run ended with TemporaryFailure. "
        "Mend the cause, then: kubectl annotate si daily -n sales "
        'minidata.io/retry="$(date +%s)" --overwrite'
    )


def test_parked_objects_stay_parked_while_the_source_cannot_be_listed():
    before = status(observed(), Plan(parked=(an_object(),)))
    seen = with_told(observed(source=DOWN), before)
    assert summary(seen) == ["False ObjectsParked", "True Unreachable", "True ObjectsParked"]
    assert "parked: 1 object as of the last listing" in told(seen, Type.STALLED)[2]


def test_events_alone_do_not_make_it_unready_but_are_told_of():
    seen = observed(events=Problem("TargetUnknown", "the store knows no target x"))
    assert summary(seen) == ["True Ready", "False UpToDate", "False NotStalled"]
    assert "the store knows no target x" in told(seen, Type.READY)[2]


def test_what_is_suspended_is_not_ready_and_rests():
    seen = observed(ingest=suspended())
    plan = Plan(pending=3)
    assert summary(seen, plan) == ["False Suspended", "False Suspended", "False NotStalled"]


def test_what_is_suspended_lets_runs_finish():
    seen = observed(ingest=suspended(), runs=[a_run(an_object())])
    assert summary(seen, Plan(running=1))[:2] == ["False Suspended", "True RunsActive"]


def test_waiting_objects_are_work_to_come():
    assert verdict(observed(), Type.RECONCILING, Plan(pending=3)) == "True ObjectsWaiting"
    assert "waiting: 3 objects" in told(observed(), Type.RECONCILING, Plan(pending=3))[2]


def test_a_sweep_is_work_though_it_has_no_objects():
    seen = observed(runs=[a_run(is_sweep=True)])
    assert verdict(seen, Type.RECONCILING) == "True RunsActive"


def test_a_run_whose_pod_does_not_start_is_named():
    seen = observed(runs=[a_run(), a_run(name="stuck", trouble="ImagePullBackOff")])
    state, reason, message = told(seen, Type.RECONCILING)
    assert (state, reason) == ("True", "PodsNotStarting")
    assert "1 of 2" in message
    assert "stuck: ImagePullBackOff" in message


# --- one concern each


@pytest.mark.parametrize(
    ("trigger", "problem", "want"),
    [
        ({}, None, "True Subscribed"),
        ({}, DENIED, "False AccessDenied"),
        ({"events": False}, None, "False Disabled"),
        ({"events": False}, DENIED, "False Disabled"),
    ],
)
def test_events(trigger, problem, want):
    seen = observed(ingest=an_ingest(trigger=trigger), events=problem)
    assert verdict(seen, Type.EVENTS_READY) == want


@pytest.mark.parametrize(
    ("spec", "problem", "want"),
    [
        ({}, None, "True Scheduled"),
        ({"suspend": True}, None, "False Suspended"),
        ({"trigger": {"schedule": ""}}, None, "False NotScheduled"),
        ({"trigger": {"schedule": ""}, "suspend": True}, None, "False NotScheduled"),
        ({"suspend": True}, Problem("CronJobRefused", "no"), "False CronJobRefused"),
    ],
)
def test_schedule(spec, problem, want):
    seen = observed(ingest=an_ingest(**spec), schedule=problem)
    assert verdict(seen, Type.SCHEDULE_READY) == want


def loaded_at(moment):
    report = RunReport(files=Files(loaded=1))
    return [a_run(outcome=Outcome.SUCCEEDED, finished_at=moment, report=report)]


@pytest.mark.parametrize(
    ("runs", "created_at", "want"),
    [
        (loaded_at(ago(hours=24)), ago(days=9), "True Fresh"),
        (loaded_at(ago(hours=24, seconds=1)), ago(days=9), "False Stale"),
        ([], ago(hours=24), "True Fresh"),
        ([], ago(hours=25), "False Stale"),
    ],
)
def test_freshness_is_the_age_of_the_last_load_or_of_the_ingest(runs, created_at, want):
    ingest = replace(an_ingest(freshness={"maxAgeHours": 24}), created_at=created_at)
    assert verdict(observed(ingest=ingest, runs=runs), Type.FRESH) == want


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.SUCCEEDED])
def test_a_run_that_failed_gives_its_outcome_as_the_reason(outcome):
    seen = observed(runs=[a_run(outcome=outcome)])
    assert verdict(seen, Type.LAST_RUN_SUCCEEDED) == f"False {outcome}"


def test_a_run_is_told_of_by_its_counts_its_first_error_and_what_to_do():
    report = RunReport(
        files=Files(loaded=2, quarantined=1),
        rows=Rows(read=10, loaded=7, rejected=2, deduplicated=1),
        errors=[
            ReportedError(key="raw/x.csv", code="file.encoding", message="not utf-8."),
            ReportedError(key="raw/y.csv", code="file.empty", message="no records"),
        ],
    )
    run = a_run(outcome=Outcome.QUARANTINED, attempt=2, name="daily-1", report=report)
    assert told(observed(runs=[run]), Type.LAST_RUN_SUCCEEDED)[2] == (
        "daily-1, attempt 2: FilesQuarantined; objects: 2 loaded, 1 quarantined; "
        "rows: 10 read = 7 loaded + 2 rejected + 1 deduplicated; "
        "raw/x.csv: file.encoding: not utf-8; "
        "what is bad lies in quarantine with a reason: correct it, send it again"
    )


def test_a_run_without_a_report_is_told_of_by_its_trouble():
    run = a_run(outcome=Outcome.CRASHED, trouble="the pod was evicted")
    assert "the pod was evicted" in told(observed(runs=[run]), Type.LAST_RUN_SUCCEEDED)[2]


def test_what_was_said_of_a_run_is_kept_when_its_job_is_gone():
    run = a_run(outcome=Outcome.CRASHED, trouble="the pod was evicted")
    before = status(observed(runs=[run]), Plan())
    after = status(with_told(observed(), before), Plan())
    assert find(after, Type.LAST_RUN_SUCCEEDED) == find(before, Type.LAST_RUN_SUCCEEDED)


def test_what_was_said_of_one_run_is_not_said_of_another():
    """The last run turns out to have ended before another one, of which only a summary is left."""
    last, other = (
        a_run(outcome=Outcome.CRASHED, name=name, finished_at=ago(seconds), trouble=f"by {name}")
        for name, seconds in (("last", 10), ("other", 20))
    )
    before = status(observed(runs=[last, other]), Plan())
    seen = with_told(observed(runs=[replace(last, finished_at=ago(30))]), before)
    assert told(seen, Type.LAST_RUN_SUCCEEDED)[2] == "other, attempt 1: Crashed"


@pytest.mark.parametrize(
    ("outcome", "want"),
    [("Succeeded", "True Succeeded"), ("Crashed", "False Crashed"), ("of 2030", "False Crashed")],
)
def test_a_summary_alone_is_enough_to_tell_how_the_last_run_ended(outcome, want):
    last = RunSummary(job="daily-1", outcome=outcome, finished_at=NOW)
    seen = with_told(observed(), SalesIngestStatus(last_run=last))
    assert verdict(seen, Type.LAST_RUN_SUCCEEDED) == want


def test_a_key_cannot_write_to_the_terminal():
    plan = Plan(parked=(an_object("raw/\x1b[2J.csv"),))
    assert "raw/?[2J.csv" in told(observed(), Type.STALLED, plan)[2]


# --- a refused spec


def test_a_refused_spec_waits_for_a_human_and_the_rest_is_unknown():
    after = refused(SalesIngestStatus(), 7, "batch.maxFiles: too many", NOW)
    assert [f"{c.status} {c.reason}" for c in after.conditions] == [
        "False InvalidSpec",
        "False InvalidSpec",
        "True InvalidSpec",
        *["Unknown InvalidSpec"] * 3,
        "Unknown NoRunYet",
        "Unknown InvalidSpec",
    ]
    assert after.observed_generation == 7
    assert {c.observed_generation for c in after.conditions} == {7}
    assert "batch.maxFiles: too many" in find(after, Type.READY).message


def test_a_refused_spec_forgets_nothing_of_what_was_done():
    run = a_run(outcome=Outcome.SUCCEEDED, report=RunReport(files=Files(loaded=3)))
    before = status(observed(runs=[run], ingest=an_ingest(epoch=Epoch(1))), Plan(pending=2))
    after = refused(before, 2, "no", NOW)
    for part in ("files", "rows", "last_run", "last_success_time", "counted"):
        assert getattr(after, part) == getattr(before, part)
    assert find(after, Type.LAST_RUN_SUCCEEDED).status is ConditionStatus.TRUE
    assert after.next_schedule_time is None
