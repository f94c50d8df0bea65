"""Places for live Jobs: never more than the limit, and whoever waits is remembered in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_operator.observed import IngestKey
from sales_operator.slots import Slots
from tests.operator.worlds import PATIENT

A, B, C = (IngestKey("sales", name) for name in "abc")


def test_what_is_free_is_the_limit_without_what_lives():
    with Slots(5).lend(2) as slots:
        assert slots.free == 3


def test_never_less_than_nothing_is_free():
    """The limit may be lowered while more Jobs live."""
    with Slots(5).lend(9) as slots:
        assert slots.free == 0


def test_what_another_look_is_about_to_take_is_not_free():
    slots = Slots(5)
    with slots.lend(0) as first:
        first.take(4)
        with slots.lend(0) as second:
            assert second.free == 1


def test_what_was_taken_is_given_back_also_after_a_failure():
    slots = Slots(5)

    def fail():
        with slots.lend(0) as lent:
            lent.take(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with slots.lend(0) as lent:
        assert lent.free == 5


@PATIENT
@given(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=6))
def test_looks_side_by_side_never_take_more_than_the_limit(live, wishes):
    slots = Slots(5)
    open_loans = []
    for wish in wishes:
        loan = slots.lend(live)
        lent = loan.__enter__()
        lent.take(min(wish, lent.free))
        open_loans.append((loan, lent))
    assert live + sum(lent.taken for _, lent in open_loans) <= max(5, live)
    for loan, _ in open_loans:
        loan.__exit__(None, None, None)


def test_who_waits_longest_is_named_first():
    slots = Slots(1)
    for key in (B, A, C, B):
        slots.wants(key, is_hungry=True)
    assert slots.hungry() == [B, A, C]


def test_whoever_has_a_place_waits_no_more():
    slots = Slots(1)
    for key in (A, B):
        slots.wants(key, is_hungry=True)
    slots.wants(A, is_hungry=False)
    slots.wants(C, is_hungry=False)
    assert slots.hungry() == [B]
