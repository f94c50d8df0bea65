"""What a watch tells is looked at if it asks for a look, and only then."""

import copy
from datetime import UTC, datetime, timedelta

import pytest

from sales_api import names
from sales_operator.observed import IngestKey
from sales_operator.queue import Queue
from sales_operator.refusals import TOKEN_REFUSED, Span, Standing
from sales_operator.seen import Seen
from sales_operator.watching import Watching

DAILY = IngestKey("sales", "daily")
UID = "uid-of-daily"


def an_ingest(version=1, *, name="daily", prefix="raw/", **metadata):
    return {
        "metadata": {
            "namespace": "sales",
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "generation": 1,
            **metadata,
        },
        "spec": {"source": {"bucket": "sales", "prefix": prefix}},
    }


def a_job(version=1, *, ended="", owner=UID):
    return {
        "metadata": {
            "namespace": "sales",
            "name": "j1",
            "uid": "j1",
            "resourceVersion": str(version),
            "labels": {names.LABEL_INGEST_UID: owner},
        },
        "status": {"conditions": [{"type": ended, "status": "True"}] if ended else []},
    }


class Told:
    """A watch, and what came of what it told."""

    def __init__(self):
        self.seen = Seen()
        self.queue = Queue()
        self.free_slots = 0
        self.refusals = Standing()
        self.watching = Watching(self.seen, self.queue, self.slot_is_free, self.refusals)

    def slot_is_free(self):
        self.free_slots += 1

    def ingest(self, document, *, is_gone=False):
        self.watching.ingest_told(document, is_gone=is_gone)
        return self.looks()

    def job(self, document, *, is_gone=False):
        self.watching.job_told(document, is_gone=is_gone)
        return self.looks()

    def heard(self, key):
        self.watching.heard("sales", key)
        return self.looks()

    def refused(self, key, span):
        self.watching.refused("sales", key, span)
        return self.looks()

    def looks(self):
        """Who is to be looked at; afterwards nobody is."""
        waiting = [str(key) for key in self.queue._waiting]
        self.queue._waiting.clear()
        return waiting


@pytest.fixture
def told():
    """One ingest is there and was looked at."""
    made = Told()
    made.ingest(an_ingest())
    return made


# --- ingests


def test_ingest_that_is_new_is_looked_at():
    assert Told().ingest(an_ingest()) == ["sales/daily"]


def test_ingest_whose_status_alone_was_written_is_not_looked_at(told):
    assert told.ingest(an_ingest(2) | {"status": {"observedGeneration": 1}}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 2},
        {"annotations": {names.ANNOTATION_WAKE: "now"}},
        {"annotations": {names.ANNOTATION_RETRY: "1"}},
        {"deletionTimestamp": "2026-03-01T12:00:00Z"},
        {"uid": "its successor"},
    ],
)
def test_ingest_that_changed_otherwise_is_looked_at(told, change):
    assert told.ingest(an_ingest(2, **change)) == ["sales/daily"]


def test_ingest_that_is_gone_is_looked_at_and_not_seen_any_more(told):
    assert told.ingest(an_ingest(2), is_gone=True) == ["sales/daily"]
    assert told.seen.ingest(DAILY) is None


def test_our_own_write_that_a_watch_tells_of_later_asks_for_nothing(told):
    ours = an_ingest(2) | {"status": {"observedGeneration": 1}}
    told.seen.put("ingests", ours)
    assert told.ingest(copy.deepcopy(ours)) == []


# --- Jobs


def test_job_of_somebody_else_is_nobodys_business(told):
    assert told.job(a_job(owner="nobody")) == []


def test_job_that_appears_is_looked_at(told):
    """Somebody made one by hand: kubectl create job --from=cronjob."""
    assert told.job(a_job()) == ["sales/daily"]


def test_job_that_had_ended_before_it_was_heard_of_is_looked_at(told):
    assert told.job(a_job(ended="Complete")) == ["sales/daily"]
    assert told.free_slots == 0


def test_job_that_we_made_ourselves_asks_for_nothing(told):
    told.seen.put("jobs", a_job())
    assert told.job(a_job(2)) == []


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_job_that_has_ended_is_looked_at_and_leaves_its_place(told, end):
    told.job(a_job())
    assert told.job(a_job(2, ended=end)) == ["sales/daily"]
    assert told.free_slots == 1


def test_job_that_only_announces_its_end_keeps_its_place(told):
    told.job(a_job())
    assert told.job(a_job(2, ended="FailureTarget")) == []
    assert told.free_slots == 0


def test_job_that_is_deleted_while_it_lives_is_looked_at_and_leaves_its_place(told):
    told.job(a_job())
    assert told.job(a_job(2), is_gone=True) == ["sales/daily"]
    assert told.free_slots == 1


def test_place_is_left_once(told):
    told.job(a_job())
    told.job(a_job(2, ended="Complete"))
    told.job(a_job(3, ended="Complete"), is_gone=True)
    assert told.free_slots == 1


# --- listings and events


def test_after_a_listing_everyone_is_looked_at(told):
    told.ingest(an_ingest(2, name="other"))
    told.watching.listed()
    assert told.looks() == ["sales/daily", "sales/other"]


def test_event_has_those_looked_at_under_whose_prefix_it_lies(told):
    told.ingest(an_ingest(2, name="other", prefix="elsewhere/"))
    assert told.heard("raw/x.csv") == ["sales/daily"]
    assert told.heard("elsewhere/x.csv") == ["sales/other"]
    assert told.heard("nowhere/x.csv") == []


def test_event_finds_an_ingest_that_came_after_an_earlier_event(told):
    told.heard("late/x.csv")
    told.ingest(an_ingest(2, name="late", prefix="late/"))
    assert told.heard("late/x.csv") == ["sales/late"]


def test_event_finds_an_ingest_that_a_listing_told_of(told):
    told.heard("late/x.csv")
    began = told.seen.begin_listing()
    told.seen.replace([an_ingest(2, name="late", prefix="late/")], [], began)
    told.watching.listed()
    told.looks()
    assert told.heard("late/x.csv") == ["sales/late"]


def test_event_does_not_wake_an_ingest_that_is_gone(told):
    told.heard("raw/x.csv")
    told.ingest(an_ingest(2), is_gone=True)
    assert told.heard("raw/x.csv") == []


# --- refused events


def minutes(number):
    """Refusals for so long, until now."""
    now = datetime.now(UTC)
    return Span(now - timedelta(minutes=number), now)


def telling(reason, version=2, **more):
    """An ingest whose status has this of its events."""
    condition = {"type": "EventsReady", "reason": reason}
    return an_ingest(version, **more) | {"status": {"conditions": [condition]}}


@pytest.fixture
def two(told):
    """Another ingest is there as well."""
    told.ingest(an_ingest(name="other", prefix="in/"))
    return told


def is_refused(told):
    return told.refusals.problem("") is TOKEN_REFUSED


def test_refusals_of_some_minutes_concern_everybody_once(two):
    assert two.refused("raw/a.csv", minutes(3)) == ["sales/daily", "sales/other"]
    assert is_refused(two)
    assert two.refused("raw/a.csv", minutes(4)) == []


def test_refused_event_that_is_for_nobody_concerns_nobody(two):
    assert two.refused("processed/a.csv", minutes(3)) == []
    assert not is_refused(two)


def test_word_of_a_replica_that_refuses_concerns_everybody(two):
    left = an_ingest(2, annotations={names.ANNOTATION_REFUSED: str(minutes(3))})
    assert two.ingest(left) == ["sales/daily", "sales/other"]
    assert is_refused(two)


def test_word_that_was_left_before_the_start_is_old():
    told = Told()
    left = {names.ANNOTATION_REFUSED: str(minutes(3))}
    told.ingest(an_ingest(annotations=left))
    told.ingest(an_ingest(2, annotations=left | {names.ANNOTATION_RETRY: "1"}))
    assert not is_refused(told)


@pytest.mark.parametrize("text", ["", "nonsense", str(minutes(1))], ids=["no", "other", "short"])
def test_word_that_tells_nothing_concerns_nobody(two, text):
    left = an_ingest(2, annotations={names.ANNOTATION_REFUSED: text})
    assert two.ingest(left) == ["sales/daily"]
    assert not is_refused(two)


@pytest.mark.parametrize("by_word", [False, True])
def test_event_that_is_let_in_has_everybody_looked_at_who_tells_of_refusals(two, by_word):
    two.refused("raw/a.csv", minutes(3))
    two.ingest(telling("TokenRefused"))
    two.ingest(telling("TokenRefused", name="other", prefix="in/"))
    two.ingest(telling("Subscribed", name="third", prefix="late/"))
    if by_word:
        woken = telling("TokenRefused", 3, annotations={names.ANNOTATION_WAKE: "now"})
        assert sorted(two.ingest(woken)) == ["sales/daily", "sales/other"]
    else:
        assert sorted(two.heard("raw/a.csv")) == ["sales/daily", "sales/other"]
    assert not is_refused(two)
