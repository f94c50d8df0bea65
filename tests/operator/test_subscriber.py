"""A bucket is asked when something has changed, and again when it refused."""

import asyncio
import threading

import pytest

from sales_operator import subscriber as module
from sales_operator.bucket import StoreError
from sales_operator.observed import Problem
from sales_operator.settings import ObjectStore
from sales_operator.subscriber import Subscriber

REFUSED = Problem("AccessDenied", "no", is_lasting=True)


QUICK = "arn:minio:sqs::SALESNOW:webhook"


class Store:
    """In place of an object store: notes what it is asked, and how many ask at once."""

    def __init__(self):
        self.asked = []
        self.targets = []
        self.problem = None
        self.at_once = []
        self.open = threading.Event()
        self.open.set()
        self._busy = []

    def subscribe(self, bucket, prefixes, instance, target):
        self.targets.append((instance, target))
        self._busy.append(bucket)
        self.at_once.append(self._busy.count(bucket))
        assert self.open.wait(20)
        self.asked.append((bucket, sorted(prefixes)))
        self._busy.remove(bucket)
        if self.problem:
            raise StoreError(self.problem)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def subscriber(store):
    return Subscriber(store, "op", ObjectStore())


@pytest.fixture
def clock(monkeypatch):
    """The clock by which refusals grow old, which a test moves."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def ensure(subscriber, *wishes):
    """Ask for these, all at the same time: (bucket, prefix, prefix...)."""

    async def together():
        asked = (subscriber.ensure(bucket, set(prefixes)) for bucket, *prefixes in wishes)
        return await asyncio.gather(*asked)

    return asyncio.run(together())


def test_bucket_is_asked_once_for_the_same_prefixes(store, subscriber):
    for _ in range(3):
        assert ensure(subscriber, ("sales", "raw/", "more/")) == [None]
    assert store.asked == [("sales", ["more/", "raw/"])]


def test_bucket_is_asked_again_for_other_prefixes(store, subscriber):
    ensure(subscriber, ("sales", "raw/"))
    ensure(subscriber, ("sales",))
    assert store.asked == [("sales", ["raw/"]), ("sales", [])]


def test_each_bucket_is_asked(store, subscriber):
    ensure(subscriber, ("a", "raw/"), ("b", "raw/"))
    assert sorted(store.asked) == [("a", ["raw/"]), ("b", ["raw/"])]


def test_many_looks_at_once_are_one_request(store, subscriber):
    ensure(subscriber, *[("sales", "raw/")] * 20)
    assert len(store.asked) == 1


def test_one_bucket_is_asked_by_one_at_a_time_and_the_last_wish_counts(store, subscriber):
    ensure(subscriber, *[("sales", f"{n}/") for n in range(5)])
    assert set(store.at_once) == {1}
    assert store.asked[-1] == ("sales", ["4/"])
    assert ensure(subscriber, ("sales", "4/")) == [None]
    assert len(store.asked) == 5


def test_problem_is_told_without_asking_again_for_a_while(store, subscriber, clock):
    store.problem = REFUSED
    for _ in range(3):
        assert ensure(subscriber, ("sales", "raw/")) == [REFUSED]
    assert len(store.asked) == 1


def test_bucket_that_refused_is_asked_again_later(store, subscriber, clock):
    store.problem = REFUSED
    ensure(subscriber, ("sales", "raw/"))
    store.problem = None
    clock.now += 31
    assert ensure(subscriber, ("sales", "raw/")) == [None]
    assert len(store.asked) == 2


def test_new_wish_does_not_wait_for_a_refusal_to_grow_old(store, subscriber, clock):
    store.problem = REFUSED
    ensure(subscriber, ("sales", "raw/"))
    store.problem = None
    assert ensure(subscriber, ("sales", "raw/", "more/")) == [None]


def test_doubt_has_everything_asked_again(store, subscriber):
    ensure(subscriber, ("a", "raw/"), ("b", "raw/"))
    subscriber.doubt()
    ensure(subscriber, ("a", "raw/"), ("b", "raw/"))
    assert len(store.asked) == 4


def test_whoever_is_cancelled_does_not_keep_others_from_asking(store, subscriber):
    async def cancelled():
        store.open.clear()
        first = asyncio.create_task(subscriber.ensure("sales", {"raw/"}))
        while not store.at_once:  # noqa: ASYNC110 - a thread is what is awaited
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        store.open.set()
        async with asyncio.timeout(20):
            return await subscriber.ensure("sales", {"raw/"})

    assert asyncio.run(cancelled()) is None
    assert len(store.asked) == 2


def test_a_quick_target_has_rules_of_its_own(store):
    """Neither set of rules is taken for the other's when they are compared."""
    quick = Subscriber(store, "op", ObjectStore(quick_target=QUICK))
    assert asyncio.run(quick.ensure("sales", ["raw/"])) is None
    assert store.targets == [("op-quick", QUICK), ("op", ObjectStore().target)]


def test_a_missing_quick_target_is_no_problem(store):
    """It only makes things sooner; what counts is the target that remembers."""

    def refuse_quick(_bucket, _prefixes, _instance, target):
        if target == QUICK:
            raise StoreError(Problem("TargetMissing", "no such target", is_lasting=True))

    store.subscribe = refuse_quick
    quick = Subscriber(store, "op", ObjectStore(quick_target=QUICK))
    assert asyncio.run(quick.ensure("sales", ["raw/"])) is None
