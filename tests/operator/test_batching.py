"""Which objects go together."""

import pytest

from sales_api.request import MAX_REQUEST_BYTES, RunRequest
from sales_operator.observed import Launch, Outcome
from sales_operator.plan import plan
from tests.operator.making import a_run, ago, an_ingest, an_object, observed

A, B, C = (an_object(f"raw/{name}.csv", modified_at=ago(60 - n)) for n, name in enumerate("abc"))


def failed_run(*objects, outcome=Outcome.TEMPORARY, attempt=1):
    return a_run(*objects, outcome=outcome, attempt=attempt, finished_at=ago(3600))


def launched(plan):
    return [item.key for launch in plan.launches for item in launch.objects]


def test_a_batch_holds_at_most_max_files():
    made = plan(observed(A, B, C, ingest=an_ingest(batch={"maxFiles": 2})))
    assert made.launches == (Launch((A, B)), Launch((C,)))


def test_a_batch_holds_at_most_max_bytes():
    made = plan(observed(A, B, C, ingest=an_ingest(batch={"maxBytes": 2000})))
    assert made.launches == (Launch((A, B)), Launch((C,)))


def test_an_object_larger_than_max_bytes_goes_alone():
    large = an_object("raw/large.csv", size=10**9, modified_at=ago(59.5))
    made = plan(observed(A, large, B, ingest=an_ingest(parallelism=3)))
    assert made.launches == (Launch((A,)), Launch((large,)), Launch((B,)))


@pytest.mark.parametrize("letter", ["a", "\u20ac", "\N{GRINNING FACE}", "\x01"])
def test_a_batch_fits_the_environment_whatever_its_keys_are(letter):
    keys = [f"raw/{n:03}{letter * 1017}" for n in range(500)]
    ingest = an_ingest(parallelism=50, batch={"maxFiles": 500})
    made = plan(observed(*map(an_object, keys), ingest=ingest))
    sizes = [len(request_of(ingest, launch)) for launch in made.launches]
    assert max(sizes) > MAX_REQUEST_BYTES * 0.9  # it isn't done by tiny batches either
    assert (made.running + made.pending, len(launched(made))) == (500, made.running)


def test_a_long_contract_leaves_less_room_for_objects():
    columns = {"order_id": {"concat": [f"{n:03}{'x' * 250}" for n in range(200)]}}
    ingest = an_ingest(parallelism=50, batch={"maxFiles": 500}, contract={"columns": columns})
    objects = [an_object(f"raw/{n:03}{'k' * 1000}.csv") for n in range(200)]
    made = plan(observed(*objects, ingest=ingest))
    assert len(launched(made)) == 200
    assert all(request_of(ingest, launch) for launch in made.launches)


def request_of(ingest, launch):
    """The text that the Job carries; raises if it is too long."""
    spec = ingest.spec
    request = RunRequest(
        ingest=str(ingest.key),
        run="x" * 63,
        attempt=launch.attempt,
        objects=list(launch.objects),
        **{part: getattr(spec, part) for part in ("source", "format", "contract")},
        **{part: getattr(spec, part) for part in ("quality", "privacy")},
    )
    return next(iter(request.to_env().values())).encode()


def test_batches_go_oldest_first_across_attempts():
    runs = [failed_run(B)]
    ingest = an_ingest(parallelism=3, batch={"maxFiles": 1})
    assert launched(plan(observed(A, B, C, runs=runs, ingest=ingest))) == [A.key, B.key, C.key]


def test_after_a_kill_batches_shrink_until_each_object_is_alone():
    objects = [an_object(f"raw/{n:02}.csv") for n in range(50)]
    ingest = an_ingest(parallelism=50)
    sizes = []
    for attempt in (1, 2, 3, 4):
        run = failed_run(*objects, outcome=Outcome.OUT_OF_MEMORY, attempt=attempt)
        made = plan(observed(*objects, runs=[run], ingest=ingest))
        sizes.append(max(len(launch.objects) for launch in made.launches))
    assert sizes == [12, 3, 1, 1]


def test_the_last_attempt_after_a_kill_is_made_alone():
    run = failed_run(A, B, outcome=Outcome.CRASHED, attempt=1)
    made = plan(observed(A, B, runs=[run], ingest=an_ingest(retry={"maxAttempts": 2})))
    assert made.launches == (Launch((A,), attempt=2), Launch((B,), attempt=2))


def test_batches_stay_whole_where_too_many_were_killed_for_one_object_to_be_the_cause():
    objects = [an_object(f"raw/{n:04}.csv") for n in range(5000)]
    run = failed_run(*objects, outcome=Outcome.CRASHED, attempt=4)
    made = plan(observed(*objects, runs=[run]))
    assert [len(launch.objects) for launch in made.launches] == [50, 50]


def test_a_temporary_failure_leaves_batches_whole():
    run = failed_run(A, B, C, attempt=4)
    assert plan(observed(A, B, C, runs=[run])).launches == (Launch((A, B, C), attempt=5),)
