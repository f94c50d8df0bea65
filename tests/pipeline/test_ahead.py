"""Work is done ahead of its consumer: in order, bounded, and without losing an error."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_pipeline.ahead import ahead

WAIT_SECONDS = 10


@given(st.lists(st.integers(), max_size=20), st.integers(1, 4))
def test_order_is_kept(items, workers):
    """However many work at once, what comes out is in the order of what went in."""
    with ahead(lambda n: n * 2, iter(items), workers) as prepared:
        assert list(prepared) == [n * 2 for n in items]


def test_items_are_prepared_side_by_side():
    """Two workers are at work at the same time: each waits for the other."""
    meeting = threading.Barrier(2)

    with ahead(lambda n: meeting.wait(WAIT_SECONDS) >= 0 and n, iter([1, 2]), 2) as prepared:
        assert list(prepared) == [1, 2]


def test_next_is_prepared_while_one_is_in_use():
    """The consumer need not ask for it."""
    ready = threading.Event()

    def prepare(n):
        if n == 2:
            ready.set()
        return n

    with ahead(prepare, iter([1, 2, 3]), 1) as prepared:
        assert next(prepared) == 1
        assert ready.wait(WAIT_SECONDS)


def test_no_more_is_drawn_than_workers_and_one():
    """Memory stays bounded, also where the consumer is slow."""
    drawn = []

    def items():
        for n in range(100):
            drawn.append(n)
            yield n

    with ahead(str, items(), 2) as prepared:
        for asked, _ in enumerate(prepared, 1):
            assert len(drawn) <= asked + 2
    assert len(drawn) == 100


def test_items_are_drawn_in_the_consumers_thread():
    """The source need not be safe to use from several."""
    threads = set()

    def items():
        for n in range(5):
            threads.add(threading.get_ident())
            yield n

    with ahead(str, items(), 3) as prepared:
        assert len(list(prepared)) == 5
    assert threads == {threading.get_ident()}


def failing(n):
    if n == 2:
        raise LookupError("two")
    return n


def test_error_of_preparing_comes_in_its_place():
    """What came before it is delivered first."""
    got = []

    with pytest.raises(LookupError, match="two"), ahead(failing, iter([0, 1, 2, 3]), 2) as prepared:
        got.extend(prepared)

    assert got == [0, 1]


def test_error_of_the_source_is_raised():
    """A source that breaks off is not taken for one that ended."""

    def items():
        yield 1
        raise LookupError("source")

    with pytest.raises(LookupError, match="source"), ahead(str, items(), 1) as prepared:
        list(prepared)


def test_leaving_early_starts_nothing_more():
    """What is under way is waited for, what was to follow is not done, and no thread is left."""
    begun, go_on = [], threading.Event()

    def prepare(n):
        begun.append(n)
        assert n == 0 or go_on.wait(WAIT_SECONDS)
        return n

    with ahead(prepare, iter(range(100)), 1) as prepared:
        assert next(prepared) == 0
        go_on.set()

    assert len(begun) <= 3
    assert not [t for t in threading.enumerate() if t.name.startswith("prepare")]


def test_error_of_the_consumer_ends_the_work_too():
    """It comes out as it is."""

    def consume():
        with ahead(str, iter(range(100)), 1) as prepared:
            raise KeyError(next(prepared))

    with pytest.raises(KeyError, match="0"):
        consume()
    assert not [t for t in threading.enumerate() if t.name.startswith("prepare")]
