"""Decides what to do about one ingest from what is seen of it: values in, a plan out.

The Jobs are all the memory there is: how often an object was tried, and when it is due again, is
told by the runs that named it. What holds of all objects of a run is found out once for the run,
so that a backlog of ten thousand objects is planned in a moment.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from sales_api.ingest import Retry
from sales_api.request import ObjectRef
from sales_operator.batching import Candidate, batches, limits_of
from sales_operator.observed import Launch, Observed, Outcome, Plan, Run, RunState

MAX_BACKOFF = timedelta(hours=1)

KEPT_RUNS = 20
"""So many succeeded, and so many failed runs are kept at most, those that are needed aside."""

MAX_SUSPECT_RUNS = 100
"""About so many runs at most are spent on a search for the object that kills its runs."""

_WORKED = frozenset({Outcome.SUCCEEDED, Outcome.QUARANTINED})
"""What shows that database and object store do their work."""

_KILLED = frozenset({Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.DEADLINE})
"""What a single object can bring upon all objects of its run."""

Identity = tuple[float, str, str]


def plan(seen: Observed) -> Plan:
    """What is to be done about an ingest; the same for the same values, in whatever order."""
    if seen.source is not None:
        return _plan_unlisted(seen)
    live, past = _Live.of(seen.runs), _Past.of(seen)
    listed = past.remember(seen.objects)
    placed = _place(listed, live, _Clock.of(seen))
    launches, opens_at = _launches(seen, live, tuple(_candidates(placed.due, listed, seen)))
    launched = _number(launches)
    return Plan(
        launches=launches,
        deletions=_deletions(seen, past.needed_for(listed)),
        running=len(placed.running) + launched,
        pending=len(listed) - len(placed.running) - len(placed.parked) - launched,
        parked=tuple(item.object for item in placed.parked),
        parked_because=_outcome(placed.parked[0]) if placed.parked else None,
        oldest_pending=placed.oldest_unparked,
        look_again_at=_look_again_at(seen, placed, opens_at),
    )


def identity(item: ObjectRef) -> Identity:
    """What an object is known by: the same bytes, stored once more, are another object.

    Sorts from the oldest object on.
    """
    # A number: datetimes of a parsed zone are compared ten times slower, and 1970 to 2255 fit
    # a float to the microsecond.
    return item.modified_at.timestamp(), item.key, item.etag


def _plan_unlisted(seen: Observed) -> Plan:
    """Nothing is known of what lies there: no launch, and each run may still be needed.

    Live runs still tell what runs.
    """
    running = {identity(item): item for run in seen.runs if run.is_live for item in run.objects}
    oldest = min((item.modified_at for item in running.values()), default=None)
    return Plan(running=len(running), oldest_pending=oldest)


# --- what the runs tell -------------------------------------------------------------------------


def _by_end(run: Run) -> tuple[datetime, str]:
    return run.ended_at, run.name


class _Tried(NamedTuple):
    """What the run that tried an object last means for it."""

    run: Run
    is_parked: bool
    is_released: bool
    """It would be parked, had not another run done well since."""
    due_at: datetime
    """When it may be tried again, unless it is parked."""


class _Item(NamedTuple):
    """A listed object and what is remembered of it."""

    identity: Identity
    object: ObjectRef
    tried: _Tried | None


def _outcome(item: _Item) -> Outcome | None:
    return item.tried.run.outcome if item.tried else None


@dataclass(frozen=True)
class _Live:
    """What the live runs hold, those of earlier epochs included."""

    count: int
    identities: frozenset[Identity]
    keys: frozenset[str]
    swept_until: datetime | None
    """Live sweeps take what was modified up to then."""

    @classmethod
    def of(cls, runs: Iterable[Run]) -> "_Live":
        live = [run for run in runs if run.is_live]
        objects = [item for run in live for item in run.objects]
        sweeps = [run.started_at or run.created_at for run in live if run.is_sweep]
        return cls(
            count=len(live),
            identities=frozenset(map(identity, objects)),
            keys=frozenset(item.key for item in objects),
            swept_until=max(sweeps, default=None),
        )

    def works_on(self, item: _Item) -> bool:
        is_swept = self.swept_until is not None and item.object.modified_at <= self.swept_until
        return is_swept or item.identity in self.identities

    def holds(self, item: _Item) -> bool:
        """Whether a run works on this key: two at once could load its contents out of order."""
        return item.object.key in self.keys


@dataclass(frozen=True)
class _Past:
    """What the finished runs of the present epoch tell; those of others count no more."""

    tried: Mapping[Identity, _Tried]
    worked: Run | None
    """The run that ended last of those that show that the surroundings work."""

    @classmethod
    def of(cls, seen: Observed) -> "_Past":
        runs = [r for r in seen.runs if not r.is_live and r.epoch == seen.ingest.epoch]
        runs.sort(key=lambda run: (run.attempt, *_by_end(run)))
        worked = max((r for r in runs if r.outcome in _WORKED), key=_by_end, default=None)
        retry = seen.ingest.spec.retry
        tries = [(run, _judge(run, worked, retry)) for run in runs]
        return cls({identity(o): tried for run, tried in tries for o in run.objects}, worked)

    def remember(self, objects: Iterable[ObjectRef]) -> list[_Item]:
        """What is known of these objects, oldest first."""
        pairs = sorted(((identity(o), o) for o in objects), key=itemgetter(0))
        return [_Item(known_by, o, self.tried.get(known_by)) for known_by, o in pairs]

    def needed_for(self, listed: Iterable[_Item]) -> frozenset[str]:
        """Uids of runs without which an object would be tried too often, too soon or no more."""
        needed = {item.tried.run.uid for item in listed if item.tried}
        if self.worked and any(item.tried and item.tried.is_released for item in listed):
            needed.add(self.worked.uid)
        return frozenset(needed)


def _judge(run: Run, worked: Run | None, retry: Retry) -> _Tried:
    is_used_up = run.attempt >= retry.max_attempts
    is_released = is_used_up and _has_passed(run, worked)
    is_parked = (is_used_up and not is_released) or run.outcome is Outcome.CONFIGURATION
    return _Tried(run, is_parked, is_released, _due_at(run, retry))


def _has_passed(run: Run, worked: Run | None) -> bool:
    """Whether what made a run fail has passed.

    What failed because its surroundings did must not stay parked for longer than they were down:
    nobody would think of the annotation. That another run did well since then is what tells that
    they work. It gives one further attempt for each such proof, never a free pass.
    """
    if run.outcome is not Outcome.TEMPORARY or worked is None:
        return False
    return worked.ended_at > run.ended_at


def _due_at(run: Run, retry: Retry) -> datetime:
    """When the objects of a run may be tried again, if at all."""
    if run.attempt == retry.max_attempts:
        # For the first release they have waited long enough. Later ones keep the backoff, or an
        # object that never gets through would be tried after every run of a busy ingest.
        return run.ended_at
    doublings = min(run.attempt - 1, 12)  # 2**12 s is above the cap already
    backoff = timedelta(seconds=retry.backoff_seconds * 2**doublings)
    return run.ended_at + min(backoff, MAX_BACKOFF)


# --- where each object stands -------------------------------------------------------------------


class _Standing(StrEnum):
    RUNNING = auto()
    HELD = auto()
    """A live run works on an earlier content of the key; its end is heard of."""
    PARKED = auto()
    RESTING = auto()
    """Due at a known time."""
    DUE = auto()


@dataclass(frozen=True)
class _Clock:
    now: datetime
    settle: timedelta

    @classmethod
    def of(cls, seen: Observed) -> "_Clock":
        return cls(seen.now, timedelta(seconds=seen.ingest.spec.source.settle_seconds))

    def rests_until(self, item: _Item) -> datetime | None:
        """When an object that is not parked may be launched; None: now."""
        moment = item.tried.due_at if item.tried else self.now
        if self.settle:
            moment = max(moment, item.object.modified_at + self.settle)
        return moment if moment > self.now else None


@dataclass(frozen=True)
class _Placed:
    """The listed objects by where they stand, each list oldest first."""

    running: list[_Item]
    parked: list[_Item]
    due: list[_Item]
    oldest_unparked: datetime | None
    next_due_at: datetime | None
    """When the first of those that rest is due."""


def _place(listed: Iterable[_Item], live: _Live, clock: _Clock) -> _Placed:
    by_standing: dict[_Standing, list[_Item]] = defaultdict(list)
    for item in listed:
        by_standing[_standing(item, live, clock)].append(item)
    unparked = [items[0] for s, items in by_standing.items() if s is not _Standing.PARKED]
    rests = (clock.rests_until(item) for item in by_standing[_Standing.RESTING])
    return _Placed(
        running=by_standing[_Standing.RUNNING],
        parked=by_standing[_Standing.PARKED],
        due=by_standing[_Standing.DUE],
        oldest_unparked=min((item.object.modified_at for item in unparked), default=None),
        next_due_at=min((moment for moment in rests if moment), default=None),
    )


def _standing(item: _Item, live: _Live, clock: _Clock) -> _Standing:
    if live.works_on(item):
        return _Standing.RUNNING
    if live.holds(item):
        return _Standing.HELD
    if item.tried and item.tried.is_parked:
        return _Standing.PARKED
    return _Standing.RESTING if clock.rests_until(item) else _Standing.DUE


# --- what is launched ---------------------------------------------------------------------------


def _candidates(
    due: Iterable[_Item], listed: Iterable[_Item], seen: Observed
) -> Iterator[Candidate]:
    spec = seen.ingest.spec
    suspects = sum(_outcome(item) in _KILLED for item in listed)
    for item in due:
        attempts = item.tried.run.attempt if item.tried else 0
        files = spec.batch.max_files
        if _outcome(item) in _KILLED:
            files = _max_suspects(files, attempts, suspects, spec.retry.max_attempts)
        yield Candidate(item.object, attempts + 1, files)


def _max_suspects(max_files: int, attempts: int, suspects: int, max_attempts: int) -> int:
    """How many objects, whose last run was killed, are tried together.

    One of them may have done it, and must not get its neighbours parked with it: so they are
    tried in ever smaller batches, in the end alone. Unless they are so many that no single
    object can be the cause: then small batches would only be a flood of Jobs.
    """
    is_last_attempt = attempts + 1 >= max_attempts
    few = 1 if is_last_attempt else max_files // 4**attempts
    return min(max_files, max(few, -(-suspects // MAX_SUSPECT_RUNS)))


def _launches(
    seen: Observed, live: _Live, candidates: Sequence[Candidate]
) -> tuple[tuple[Launch, ...], datetime | None]:
    """What to launch and, if a batch waits for more objects, until when."""
    spec = seen.ingest.spec
    places = spec.parallelism - live.count
    if spec.suspend or places <= 0 or not candidates:
        return (), None
    opens_at = _opens_at(seen)
    is_open = opens_at <= seen.now
    all_batches = batches(candidates, limits_of(seen.ingest))
    ready = (batch for batch in all_batches if is_open or batch.is_full)
    chosen = islice(ready, max(0, min(places, seen.free_slots)))
    launches = tuple(Launch(batch.objects, batch.attempt) for batch in chosen)
    # With no place left it is the end of an own run that matters, and that is heard of. A slot of
    # the operator may have become free by then, so it is worth a look even where none is now.
    waits = not is_open and len(launches) < places and _number(launches) < len(candidates)
    return launches, opens_at if waits else None


def _opens_at(seen: Observed) -> datetime:
    """When a batch that is not full may go: a quiet ingest launches at once."""
    newest = max((run.created_at for run in seen.runs), default=None)
    wait = timedelta(seconds=seen.ingest.spec.batch.max_wait_seconds)
    return newest + wait if newest else seen.now


def _number(launches: Iterable[Launch]) -> int:
    return sum(len(launch.objects) for launch in launches)


def _look_again_at(seen: Observed, placed: _Placed, opens_at: datetime | None) -> datetime | None:
    if seen.ingest.spec.suspend:
        return None
    return min((moment for moment in (placed.next_due_at, opens_at) if moment), default=None)


# --- what is deleted ----------------------------------------------------------------------------


def _deletions(seen: Observed, needed: frozenset[str]) -> tuple[Run, ...]:
    """Runs that have served, oldest first.

    Only what the counters of the status hold already: a report that was not counted is lost with
    its Job.
    """
    counted = frozenset(seen.ingest.status.counted)
    served = (run for run in _served(seen) if run.token in counted and run.uid not in needed)
    return tuple(sorted(served, key=_by_end))


def _served(seen: Observed) -> Iterator[Run]:
    """Finished runs that are older, or more, than the spec wants to keep."""
    job = seen.ingest.spec.job
    for state, ttl in (
        (RunState.SUCCEEDED, job.ttl_seconds_after_succeeded),
        (RunState.FAILED, job.ttl_seconds_after_failed),
    ):
        runs = sorted((run for run in seen.runs if run.state is state), key=_by_end)
        yield from runs[:-KEPT_RUNS]
        until = seen.now - timedelta(seconds=ttl)
        yield from (run for run in runs[-KEPT_RUNS:] if run.ended_at <= until)
