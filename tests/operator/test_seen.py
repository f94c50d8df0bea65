"""What was told of ingests and Jobs: the newest counts, in whatever order it was told."""

from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sales_api import names
from sales_operator import seen as module
from sales_operator.documents import key_of, owner_of, uid_of, version_of
from sales_operator.observed import IngestKey
from sales_operator.runs import is_live
from sales_operator.seen import Seen
from tests.operator.worlds import PATIENT

DAILY = IngestKey("sales", "daily")
OWNER = "uid-of-daily"


def an_ingest(version=1, uid=OWNER, name="daily"):
    """An ingest as the API server has it."""
    metadata = {"namespace": "sales", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata}


def a_job(version=1, uid="j1", owner=OWNER, *, ended=False):
    """A Job of a run as the API server has it."""
    metadata = {
        "namespace": "sales",
        "name": uid,
        "uid": uid,
        "resourceVersion": str(version),
        "labels": {names.LABEL_INGEST_UID: owner},
    }
    conditions = [{"type": "Complete", "status": "True"}] if ended else []
    return {"metadata": metadata, "status": {"conditions": conditions}}


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def clock(monkeypatch):
    """The clock of the watches, which a test moves."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            self.now += 0.001  # No two things happen at once.
            return self.now

    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def listed(seen, ingests=(), jobs=()):
    """A listing at rest."""
    seen.replace(ingests, jobs, seen.begin_listing())


# --- which one counts


def test_older_version_changes_nothing(seen):
    seen.tell("ingests", an_ingest(version=10), is_gone=False)
    seen.put("ingests", an_ingest(version=9))
    assert version_of(seen.ingest(DAILY)) == 10


def test_versions_are_compared_as_numbers(seen):
    seen.put("ingests", an_ingest(version=99))
    seen.put("ingests", an_ingest(version=100))
    assert version_of(seen.ingest(DAILY)) == 100


def test_listing_does_not_take_back_what_a_watch_has_told_meanwhile(seen):
    began = seen.begin_listing()
    seen.tell("ingests", an_ingest(version=2), is_gone=False)
    seen.replace([an_ingest(version=1)], [], began)
    assert version_of(seen.ingest(DAILY)) == 2


def test_what_came_into_being_during_a_listing_stays(seen):
    began = seen.begin_listing()
    seen.put("jobs", a_job())
    seen.replace([], [], began)
    assert seen.job("j1")
    assert seen.live_jobs() == 1


def test_what_was_deleted_during_a_listing_does_not_come_back_with_it(seen):
    listed(seen, [an_ingest()], [a_job(version=2)])
    began = seen.begin_listing()
    seen.tell("jobs", a_job(version=5), is_gone=True)
    seen.tell("ingests", an_ingest(version=6), is_gone=True)
    seen.replace([an_ingest()], [a_job(version=2)], began)
    assert seen.ingest(DAILY) is None
    assert seen.jobs_of(OWNER) == []
    assert seen.live_jobs() == 0


def test_answer_that_comes_after_the_deletion_changes_nothing(seen):
    seen.tell("jobs", a_job(version=3), is_gone=True)
    seen.put("jobs", a_job(version=2))
    assert seen.job("j1") is None


def test_what_a_listing_does_not_name_is_gone(seen):
    """A deletion that no watch told of."""
    listed(seen, [an_ingest(), an_ingest(uid="other", name="other")], [a_job()])
    listed(seen, [an_ingest()])
    assert seen.everyone() == [DAILY]
    assert seen.key_of_uid("other") is None
    assert seen.live_jobs() == 0


def test_successor_of_the_same_name_counts_though_the_old_one_is_told_of_later(seen):
    seen.tell("ingests", an_ingest(version=5, uid="new"), is_gone=False)
    seen.put("ingests", an_ingest(version=2, uid="old"))
    assert uid_of(seen.ingest(DAILY)) == "new"
    seen.tell("ingests", an_ingest(version=4, uid="old"), is_gone=True)
    assert uid_of(seen.ingest(DAILY)) == "new"


# --- what can be asked


def test_jobs_belong_to_the_ingest_whose_uid_they_bear(seen):
    listed(seen, [an_ingest()], [a_job(), a_job(uid="j2"), a_job(uid="j3", owner="other")])
    assert {uid_of(job) for job in seen.jobs_of(OWNER)} == {"j1", "j2"}
    assert {uid_of(job) for job in seen.jobs()} == {"j1", "j2", "j3"}
    assert seen.key_of_uid(OWNER) == DAILY


def test_job_without_our_labels_belongs_to_nobody():
    bare = a_job()
    del bare["metadata"]["labels"]
    assert owner_of(bare) == ""


def test_job_that_has_ended_does_not_live(seen):
    listed(seen, [], [a_job(), a_job(uid="j2")])
    seen.tell("jobs", a_job(version=2, ended=True), is_gone=False)
    assert seen.live_jobs() == 1


# --- silence


def test_watch_owes_what_only_a_listing_has_told(seen, clock):
    listed(seen, [an_ingest()], [a_job()])
    clock.now += 100
    seen.tell("jobs", a_job(), is_gone=False)
    silence = seen.silence()
    assert silence["ingests"] == pytest.approx(100, abs=1)
    assert silence["jobs"] == 0


def test_watch_that_tells_something_newer_owes_nothing(seen, clock):
    listed(seen, [an_ingest(version=5)])
    clock.now += 100
    seen.tell("ingests", an_ingest(version=6), is_gone=False)
    assert seen.silence()["ingests"] == 0


def test_watch_that_lags_behind_still_owes(seen, clock):
    listed(seen, [an_ingest(version=5)])
    clock.now += 100
    seen.tell("ingests", an_ingest(version=4), is_gone=False)
    assert seen.silence()["ingests"] > 99


def test_watch_that_tells_of_the_deletion_owes_nothing(seen, clock):
    listed(seen, [an_ingest(version=5)])
    clock.now += 100
    seen.tell("ingests", an_ingest(version=6), is_gone=True)
    assert seen.silence()["ingests"] == 0


def test_further_listings_do_not_make_a_debt_younger(seen, clock):
    for version in (1, 2, 3):
        listed(seen, [an_ingest(version=version)])
        clock.now += 50
    assert seen.silence()["ingests"] > 149


def test_calm_cluster_owes_nothing_however_long_nothing_happens(seen, clock):
    seen.tell("ingests", an_ingest(), is_gone=False)
    for _ in range(5):
        clock.now += 300
        listed(seen, [an_ingest()])
    assert seen.silence() == {"ingests": 0, "jobs": 0}


def test_object_that_is_gone_is_owed_to_nobody(seen, clock):
    listed(seen, [an_ingest()])
    clock.now += 100
    listed(seen)
    assert seen.silence()["ingests"] == 0


# --- whatever happens

KINDS = st.sampled_from(["ingests", "jobs"])
NAMES = st.sampled_from("ab")


class Telling(RuleBasedStateMachine):
    """An API server, and what goes back and forth: watches, listings, answers to our changes."""

    def __init__(self):
        super().__init__()
        self.seen = Seen()
        self.version = 0
        self.there = {"ingests": {}, "jobs": {}}
        self.on_the_way = {"ingests": deque(), "jobs": deque()}
        self.answers = deque()
        self.listing = None
        self.told_gone = set()

    # The API server.

    def write(self, kind, name, *, ended=False):
        before = self.there[kind].get(name)
        self.version += 1
        uid = uid_of(before) if before else f"{name}{self.version}"
        if kind == "ingests":
            document = an_ingest(self.version, uid, name)
        else:
            document = a_job(self.version, uid, name, ended=ended)
        self.there[kind][name] = document
        self.on_the_way[kind].append((document, False))
        return document

    @rule(kind=KINDS, name=NAMES, ended=st.booleans())
    def others_write(self, kind, name, ended):
        self.write(kind, name, ended=ended)

    @rule(kind=KINDS, name=NAMES)
    def we_write(self, kind, name):
        self.answers.append((kind, self.write(kind, name)))

    @rule(kind=KINDS, name=NAMES)
    def delete(self, kind, name):
        if document := self.there[kind].pop(name, None):
            self.version += 1
            last = {**document["metadata"], "resourceVersion": str(self.version)}
            self.on_the_way[kind].append(({**document, "metadata": last}, True))

    # What arrives.

    @rule(kind=KINDS)
    def watch_tells(self, kind):
        if self.on_the_way[kind]:
            document, is_gone = self.on_the_way[kind].popleft()
            self.seen.tell(kind, document, is_gone=is_gone)
            if is_gone:
                self.told_gone.add(uid_of(document))

    @rule()
    def answer_arrives(self):
        if self.answers:
            kind, document = self.answers.popleft()
            # It cannot be told from news; but no answer takes so long.
            if uid_of(document) not in self.told_gone:
                self.seen.put(kind, document)

    @precondition(lambda self: self.listing is None)
    @rule()
    def listing_begins(self):
        self.listing = [self.seen.begin_listing()]

    @precondition(lambda self: self.listing is not None and len(self.listing) < 3)
    @rule()
    def listing_is_read(self):
        kind = ("ingests", "jobs")[len(self.listing) - 1]
        self.listing.append(list(self.there[kind].values()))

    @precondition(lambda self: self.listing is not None and len(self.listing) == 3)
    @rule()
    def listing_arrives(self):
        began, ingests, jobs = self.listing
        self.seen.replace(ingests, jobs, began)
        self.listing = None

    # What holds.

    @invariant()
    def indexes_are_right(self):
        jobs = list(self.seen.jobs())
        assert self.seen.live_jobs() == sum(map(is_live, jobs))
        by_owner = {o: {uid_of(j) for j in jobs if owner_of(j) == o} for o in "ab"}
        assert {o: {uid_of(j) for j in self.seen.jobs_of(o)} for o in "ab"} == by_owner
        # Nothing stays of owners that are gone.
        assert self.seen._of_ingest == {o: uids for o, uids in by_owner.items() if uids}

    @invariant()
    def the_newest_of_a_name_counts(self):
        for key in self.seen.everyone():
            versions = [version_of(d) for d in self.seen.ingests() if key_of(d) == key]
            assert version_of(self.seen.ingest(key)) == max(versions)

    @invariant()
    def what_is_gone_stays_gone(self):
        held = {uid_of(d) for d in (*self.seen.ingests(), *self.seen.jobs())}
        assert not held & self.told_gone

    def teardown(self):
        """When all has arrived it is as the API server has it, and no watch owes anything."""
        for kind in self.on_the_way:
            while self.on_the_way[kind]:
                self.watch_tells(kind)
        while self.answers:
            self.answer_arrives()
        there = {kind: list(found.values()) for kind, found in self.there.items()}
        for listings in range(2):
            assert self.held("ingests") >= Counter(map(version_of, there["ingests"])), listings
            listed(self.seen, there["ingests"], there["jobs"])
            assert self.held("ingests") == Counter(map(version_of, there["ingests"]))
            assert self.held("jobs") == Counter(map(version_of, there["jobs"]))
        assert self.seen.silence() == {"ingests": 0, "jobs": 0}
        self.indexes_are_right()

    def held(self, kind):
        documents = self.seen.ingests() if kind == "ingests" else self.seen.jobs()
        return Counter(map(version_of, documents))


Telling.TestCase.settings = settings(PATIENT, stateful_step_count=40)
TestTelling = Telling.TestCase
