"""How often a replica that stands by leaves word: at once, and seldom in a flood."""

from sales_operator.observed import IngestKey
from sales_operator.waker import Holds

KEY, OTHER = IngestKey("sales", "daily"), IngestKey("sales", "other")


def passes(holds, moments, key=KEY):
    return [moment for moment in moments if holds.may_pass(key, moment)]


def test_quiet_ingest_is_passed_on_at_once_each_time():
    assert passes(Holds(), [0, 5, 10, 15]) == [0, 5, 10, 15]


def test_flood_is_passed_on_ever_more_seldom():
    """Asked every second for a minute: after 2, 4, 8 and then every 10 seconds."""
    assert passes(Holds(), range(60)) == [0, 2, 6, 14, 24, 34, 44, 54]


def test_what_was_held_passes_when_the_hold_is_over():
    holds = Holds()
    assert passes(holds, [0, 0.5]) == [0]
    assert holds.may_pass(KEY, 2)


def test_flood_that_ends_is_forgotten():
    holds = Holds()
    passes(holds, [step / 2 for step in range(40)])
    assert passes(holds, [100, 102, 104]) == [100, 102, 104]


def test_flood_of_one_ingest_holds_no_other():
    holds = Holds()
    passes(holds, range(30))
    assert holds.may_pass(OTHER, 30)
