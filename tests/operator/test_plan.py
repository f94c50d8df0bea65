"""When objects are launched, wait or are parked, and which runs are deleted."""

from datetime import timedelta
from time import process_time

import pytest

from sales_api.ingest import SalesIngestStatus
from sales_operator.observed import Epoch, Launch, Outcome, Problem
from sales_operator.plan import MAX_BACKOFF, plan
from tests.operator.making import NOW, a_run, ago, an_ingest, an_object, observed

A, B, C = (an_object(f"raw/{name}.csv", modified_at=ago(60 - n)) for n, name in enumerate("abc"))
SECONDS = timedelta(seconds=1)
A_AGAIN = an_object("raw/a.csv", etag="e2", modified_at=ago(5))
DOWN = Problem("Unreachable", "the object store does not answer")
LATER = Epoch(generation=2)


def ingest_with_counted(*runs, **spec):
    """An ingest whose counters hold these runs already."""
    return an_ingest(status=SalesIngestStatus(counted=[run.uid[:8] for run in runs]), **spec)


def failed_run(*objects, outcome=Outcome.TEMPORARY, **other):
    return a_run(*objects, outcome=outcome, **other)


def launched(plan):
    return [item.key for launch in plan.launches for item in launch.objects]


# --- launches and batches


def test_nothing_there_nothing_to_do():
    made = plan(observed())
    assert (made.launches, made.running, made.pending, made.look_again_at) == ((), 0, 0, None)


def test_a_quiet_ingest_launches_at_once_oldest_first():
    made = plan(observed(C, A, B))
    assert made.launches == (Launch((A, B, C), attempt=1),)
    assert (made.running, made.pending, made.oldest_pending) == (3, 0, A.modified_at)


def test_objects_of_different_attempts_go_in_different_batches():
    tried = failed_run(B, finished_at=ago(600))
    made = plan(observed(A, B, C, runs=[tried]))
    assert made.launches == (Launch((A, C), attempt=1), Launch((B,), attempt=2))


def test_live_runs_and_launches_stay_within_parallelism():
    ingest = an_ingest(parallelism=2, batch={"maxFiles": 1, "maxWaitSeconds": 0})
    made = plan(observed(A, B, C, runs=[a_run(A)], ingest=ingest))
    assert (launched(made), made.running, made.pending) == ([B.key], 2, 1)


def test_a_live_sweep_takes_a_place_of_parallelism():
    runs = [a_run(is_sweep=True, created_at=ago(3600))]
    made = plan(observed(A, runs=runs, ingest=an_ingest(parallelism=1)))
    assert (made.launches, made.pending) == ((), 1)


def test_launches_keep_to_the_free_slots_of_the_operator():
    ingest = an_ingest(batch={"maxFiles": 1})
    assert launched(plan(observed(A, B, ingest=ingest, free_slots=1))) == [A.key]
    assert launched(plan(observed(A, B, ingest=ingest, free_slots=0))) == []


def test_a_batch_that_is_not_full_waits_for_more_after_a_launch():
    ingest = an_ingest(batch={"maxWaitSeconds": 10})
    runs = [a_run(B, created_at=ago(4)), a_run(created_at=ago(40), outcome=Outcome.SUCCEEDED)]
    made = plan(observed(A, B, runs=runs, ingest=ingest))
    assert (made.launches, made.pending, made.look_again_at) == ((), 1, ago(4) + SECONDS * 10)
    assert launched(plan(observed(A, B, runs=runs, ingest=ingest, now=NOW + SECONDS * 6)))


@pytest.mark.parametrize("batch", [{"maxFiles": 2}, {"maxBytes": 2000}])
def test_a_full_batch_does_not_wait_but_what_is_left_does(batch):
    ingest = an_ingest(parallelism=9, batch={"maxWaitSeconds": 10} | batch)
    runs = [a_run(created_at=ago(4), outcome=Outcome.SUCCEEDED)]
    made = plan(observed(A, B, C, runs=runs, ingest=ingest))
    assert made.launches == (Launch((A, B)),)
    assert (made.pending, made.look_again_at) == (1, NOW + SECONDS * 6)


@pytest.mark.parametrize("batch", [{"maxFiles": 2}, {"maxBytes": 2000}])
def test_a_batch_is_full_when_it_reaches_its_limit_to_the_byte(batch):
    ingest = an_ingest(batch={"maxWaitSeconds": 10} | batch)
    runs = [a_run(created_at=ago(4), outcome=Outcome.SUCCEEDED)]
    made = plan(observed(A, B, runs=runs, ingest=ingest))
    assert (made.launches, made.look_again_at) == ((Launch((A, B)),), None)


def test_what_no_place_is_left_for_waits_for_no_moment():
    ingest = an_ingest(parallelism=1, batch={"maxWaitSeconds": 10, "maxFiles": 2})
    runs = [a_run(created_at=ago(4), outcome=Outcome.SUCCEEDED)]
    made = plan(observed(A, B, C, runs=runs, ingest=ingest))
    assert (made.launches, made.pending, made.look_again_at) == ((Launch((A, B)),), 1, None)


def test_a_batch_waits_for_its_moment_though_the_operator_has_no_slot_now():
    ingest = an_ingest(batch={"maxWaitSeconds": 10})
    runs = [a_run(created_at=ago(4), outcome=Outcome.SUCCEEDED)]
    made = plan(observed(A, runs=runs, ingest=ingest, free_slots=0))
    assert (made.launches, made.look_again_at) == ((), NOW + SECONDS * 6)


def test_without_a_place_for_a_run_no_moment_is_waited_for():
    ingest = an_ingest(parallelism=1, batch={"maxWaitSeconds": 10})
    made = plan(observed(A, B, runs=[a_run(B, created_at=ago(4))], ingest=ingest))
    assert (made.pending, made.look_again_at) == (1, None)


def test_an_object_settles_first_where_it_must():
    source = {"bucket": "sales", "settleSeconds": 59}
    made = plan(observed(A, B, C, ingest=an_ingest(source=source)))
    assert launched(made) == [A.key, B.key]
    assert (made.pending, made.look_again_at) == (1, C.modified_at + SECONDS * 59)


def test_a_suspended_ingest_launches_nothing_and_still_counts():
    old = a_run(outcome=Outcome.SUCCEEDED, finished_at=ago(days=2))
    ingest = ingest_with_counted(old, suspend=True)
    made = plan(observed(A, B, runs=[a_run(B), old], ingest=ingest))
    assert (made.launches, made.running, made.pending) == ((), 1, 1)
    assert (made.deletions, made.look_again_at) == ((old,), None)


def test_an_unreachable_source_leaves_everything_as_it_is():
    old = a_run(outcome=Outcome.SUCCEEDED, finished_at=ago(days=2))
    seen = observed(runs=[a_run(A, B), old], ingest=ingest_with_counted(old), source=DOWN)
    made = plan(seen)
    assert (made.launches, made.deletions) == ((), ())
    assert (made.running, made.pending, made.oldest_pending) == (2, 0, A.modified_at)


def test_a_backlog_of_ten_thousand_objects_takes_no_quadratic_work():
    """It takes some 0.05 s; the bound is for busy machines, quadratic work takes minutes."""
    objects = [an_object(f"raw/{n:05}.csv", modified_at=ago(90_000 - n)) for n in range(10_000)]
    runs = [failed_run(*objects[n : n + 50], finished_at=ago(n)) for n in range(0, 10_000, 50)]
    seen = observed(*objects, runs=runs, ingest=ingest_with_counted(*runs))
    before = process_time()
    assert len(plan(seen).launches) == 2
    assert process_time() - before < 1


# --- what runs


def test_an_object_of_a_live_run_is_running():
    made = plan(observed(A, runs=[a_run(A)]))
    assert (made.launches, made.running, made.pending) == ((), 1, 0)


def test_an_overwritten_object_waits_for_the_run_of_its_key():
    made = plan(observed(A_AGAIN, runs=[a_run(A)]))
    assert (made.launches, made.running, made.pending) == ((), 0, 1)


def test_a_live_run_of_another_epoch_holds_its_keys():
    made = plan(observed(A_AGAIN, B, runs=[a_run(A, B)], ingest=an_ingest(epoch=LATER)))
    assert (made.launches, made.running, made.pending) == ((), 1, 1)


def test_a_live_sweep_holds_what_lay_there_when_it_began():
    made = plan(observed(A, B, C, runs=[a_run(is_sweep=True, created_at=B.modified_at)]))
    assert made.launches == (Launch((C,)),)
    assert made.running == 3


# --- retries and parking


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240)])
def test_the_backoff_doubles_from_attempt_to_attempt(attempt, seconds):
    runs = [failed_run(A, attempt=attempt, finished_at=NOW)]
    made = plan(observed(A, runs=runs))
    assert (made.launches, made.pending) == ((), 1)
    assert made.look_again_at == NOW + SECONDS * seconds
    due = plan(observed(A, runs=runs, now=made.look_again_at))
    assert due.launches == (Launch((A,), attempt=attempt + 1),)


def test_the_backoff_ends_at_an_hour():
    retry = {"maxAttempts": 20, "backoffSeconds": 3600}
    runs = [failed_run(A, attempt=19, finished_at=NOW)]
    made = plan(observed(A, runs=runs, ingest=an_ingest(retry=retry)))
    assert made.look_again_at == NOW + MAX_BACKOFF


def test_the_run_of_the_highest_attempt_counts():
    runs = [failed_run(A, attempt=n, finished_at=ago(1000 - n)) for n in (3, 1, 2)]
    assert plan(observed(A, runs=runs)).launches == (Launch((A,), attempt=4),)


def test_an_object_is_parked_when_its_attempts_are_used_up():
    runs = [failed_run(A, outcome=Outcome.CRASHED, attempt=5, finished_at=ago(hours=9))]
    made = plan(observed(A, B, runs=runs))
    assert (made.parked, made.parked_because) == ((A,), Outcome.CRASHED)
    assert (launched(made), made.pending, made.oldest_pending) == ([B.key], 0, B.modified_at)


def test_a_configuration_error_parks_at_once():
    made = plan(observed(A, runs=[failed_run(A, outcome=Outcome.CONFIGURATION)]))
    assert (made.parked, made.parked_because) == ((A,), Outcome.CONFIGURATION)


def test_the_oldest_parked_object_tells_why():
    runs = [
        failed_run(B, outcome=Outcome.CONFIGURATION),
        failed_run(A, outcome=Outcome.OUT_OF_MEMORY, attempt=5),
    ]
    made = plan(observed(B, A, runs=runs))
    assert (made.parked, made.parked_because) == ((A, B), Outcome.OUT_OF_MEMORY)


@pytest.mark.parametrize("epoch", [LATER, Epoch(generation=1, retry="now")])
def test_a_new_epoch_releases_everything(epoch):
    runs = [failed_run(A, outcome=Outcome.CONFIGURATION, attempt=5, finished_at=NOW)]
    made = plan(observed(A, runs=runs, ingest=an_ingest(epoch=epoch, batch={"maxWaitSeconds": 0})))
    assert made.launches == (Launch((A,), attempt=1),)


@pytest.mark.parametrize(
    "change", [{"etag": "e2"}, {"modified_at": ago(5)}], ids=["other bytes", "stored again"]
)
def test_an_overwritten_object_begins_anew(change):
    again = A.model_copy(update=change)
    runs = [failed_run(A, outcome=Outcome.CONFIGURATION)]
    assert plan(observed(again, runs=runs)).launches == (Launch((again,), attempt=1),)


def test_what_a_successful_run_left_behind_counts_as_tried():
    runs = [a_run(A, outcome=Outcome.SUCCEEDED, attempt=5)]
    assert plan(observed(A, runs=runs)).parked == (A,)


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.QUARANTINED])
def test_a_later_run_that_worked_releases_what_the_surroundings_parked(outcome):
    runs = [
        failed_run(A, attempt=5, finished_at=ago(100)),
        a_run(B, outcome=outcome, finished_at=ago(50)),
    ]
    assert plan(observed(A, runs=runs)).launches == (Launch((A,), attempt=6),)


@pytest.mark.parametrize(
    "worked",
    [
        a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(150)),
        a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(50), epoch=LATER),
        a_run(B, outcome=Outcome.CRASHED, finished_at=ago(50)),
    ],
    ids=["earlier", "other epoch", "did not work"],
)
def test_other_runs_release_nothing(worked):
    runs = [failed_run(A, attempt=5, finished_at=ago(100)), worked]
    assert plan(observed(A, runs=runs)).parked == (A,)


@pytest.mark.parametrize("outcome", [Outcome.CONFIGURATION, Outcome.CRASHED])
def test_what_is_parked_for_its_own_sake_is_not_released(outcome):
    runs = [
        failed_run(A, outcome=outcome, attempt=5, finished_at=ago(100)),
        a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(50)),
    ]
    assert plan(observed(A, runs=runs)).parked == (A,)


def test_a_released_object_that_fails_is_parked_until_yet_another_run_works():
    runs = [
        a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(5000)),
        failed_run(A, attempt=6, finished_at=ago(4000)),
    ]
    assert plan(observed(A, runs=runs)).parked == (A,)
    runs.append(a_run(C, outcome=Outcome.SUCCEEDED, finished_at=ago(3000)))
    assert plan(observed(A, runs=runs)).launches == (Launch((A,), attempt=7),)


def test_later_releases_keep_the_backoff():
    """Or an object that never gets through is tried after each run of a busy ingest."""
    runs = [
        failed_run(A, attempt=6, finished_at=ago(100)),
        a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(50)),
    ]
    made = plan(observed(A, runs=runs))
    assert (made.launches, made.parked, made.pending) == ((), (), 1)
    assert made.look_again_at == ago(100) + SECONDS * 30 * 2**5


# --- deletions


@pytest.mark.parametrize(
    ("outcome", "ttl"), [(Outcome.SUCCEEDED, 3600), (Outcome.QUARANTINED, 7 * 24 * 3600)]
)
@pytest.mark.parametrize("is_sweep", [False, True])
def test_a_counted_run_goes_when_its_time_is_over(outcome, ttl, is_sweep):
    objects = () if is_sweep else (B,)
    old, young = (
        a_run(*objects, outcome=outcome, finished_at=ago(seconds), is_sweep=is_sweep)
        for seconds in (ttl, ttl - 1)
    )
    seen = observed(A, runs=[young, old], ingest=ingest_with_counted(old, young))
    assert plan(seen).deletions == (old,)


def test_a_run_that_is_not_counted_stays():
    old = a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(days=9))
    assert plan(observed(A, runs=[old])).deletions == ()


def test_a_live_run_stays_however_old_it_is():
    old = a_run(B, created_at=ago(days=90))
    assert plan(observed(runs=[old], ingest=ingest_with_counted(old))).deletions == ()


def test_the_memory_of_a_listed_object_stays():
    runs = [failed_run(A, attempt=n, finished_at=ago(days=30 - n)) for n in (1, 2)]
    made = plan(observed(A, runs=runs, ingest=ingest_with_counted(*runs)))
    assert made.deletions == (runs[0],)
    gone = plan(observed(B, runs=runs, ingest=ingest_with_counted(*runs)))
    assert gone.deletions == tuple(runs)


def test_the_run_that_released_an_object_stays_until_the_object_was_tried():
    worked = a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(hours=2))
    failed = failed_run(A, attempt=5, finished_at=ago(hours=3))
    ingest = ingest_with_counted(worked, failed, suspend=True)
    assert plan(observed(A, runs=[worked, failed], ingest=ingest)).deletions == ()


def test_the_newest_twenty_that_succeeded_and_the_newest_twenty_that_failed_stay():
    good = [a_run(B, outcome=Outcome.SUCCEEDED, finished_at=ago(100 - n)) for n in range(22)]
    bad = [a_run(B, outcome=Outcome.CRASHED, finished_at=ago(200 - n)) for n in range(23)]
    runs = [*good[::-1], *bad]
    made = plan(observed(runs=runs, ingest=ingest_with_counted(*runs)))
    assert made.deletions == (*bad[:3], *good[:2])
