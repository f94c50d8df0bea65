"""What a watch tells is looked at if it asks for a look, and only then."""

import copy

import pytest

from sales_api import names
from sales_operator.observed import IngestKey
from sales_operator.queue import Queue
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
        self.watching = Watching(self.seen, self.queue, self.slot_is_free)

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
