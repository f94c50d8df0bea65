"""What holds of every plan, and of a life made of plans."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sales_api.ingest import SalesIngestStatus
from sales_api.request import ObjectRef
from sales_operator.observed import Epoch, Ingest, Observed, Outcome, Plan, Run, RunState
from sales_operator.plan import identity, plan
from tests.operator.making import EPOCH, NOW, a_run, an_ingest, an_object, observed

few = settings(max_examples=50, deadline=None)
OTHER_EPOCH = Epoch(generation=2)
KEYS = [f"raw/{letter}.csv" for letter in "abcdefgh"]

moments = st.integers(0, 4000).map(lambda seconds: NOW - timedelta(seconds=seconds))
objects = st.builds(
    an_object,
    key=st.sampled_from(KEYS),
    etag=st.sampled_from(["e1", "e2"]),
    size=st.sampled_from([0, 10, 400]),
    modified_at=st.sampled_from([NOW - timedelta(seconds=n) for n in (1, 60, 3000)]),
)


def listings(max_size: int = 8) -> st.SearchStrategy[list[ObjectRef]]:
    """A key lies there once."""
    return st.lists(objects, max_size=max_size, unique_by=lambda item: item.key)


@st.composite
def histories(draw: st.DrawFn) -> list[Run]:
    """Finished runs of any kind, and live ones that share no key."""
    finished = draw(
        st.lists(
            st.builds(
                lambda taken, **other: a_run(*taken, **other),
                listings(4),
                outcome=st.sampled_from(Outcome),
                attempt=st.integers(1, 6),
                epoch=st.sampled_from([EPOCH, OTHER_EPOCH]),
                finished_at=moments,
            ),
            max_size=8,
        )
    )
    taken = draw(listings(4))
    live = [a_run(item, created_at=draw(moments)) for item in taken]
    sweeps = draw(
        st.lists(st.builds(a_run, is_sweep=st.just(True), created_at=moments), max_size=1)
    )
    return [*finished, *live, *sweeps]


@st.composite
def ingests(draw: st.DrawFn, runs: list[Run], max_wait: int | None) -> Ingest:
    numbers, ttls = st.integers(1, 4), st.sampled_from([0, 600, 3600])
    counted = [run.uid[:8] for run in runs if draw(st.booleans())]
    return an_ingest(
        status=SalesIngestStatus(counted=counted),
        suspend=draw(st.integers(0, 9)) == 0,
        parallelism=draw(numbers),
        batch={
            "maxFiles": draw(numbers),
            "maxBytes": draw(st.sampled_from([100, 500, 5000])),
            "maxWaitSeconds": draw(st.sampled_from([0, 1, 600])) if max_wait is None else max_wait,
        },
        job={"ttlSecondsAfterSucceeded": draw(ttls), "ttlSecondsAfterFailed": draw(ttls)},
        retry={"maxAttempts": draw(numbers), "backoffSeconds": draw(st.sampled_from([1, 30, 900]))},
    )


@st.composite
def scenes(draw: st.DrawFn, max_wait: int | None = None) -> Observed:
    runs = draw(histories())
    ingest = draw(ingests(runs, max_wait))
    slots = draw(st.integers(0, 5))
    return observed(*draw(listings()), runs=runs, ingest=ingest, free_slots=slots)


def live(runs: tuple[Run, ...]) -> list[Run]:
    return [run for run in runs if run.state is RunState.LIVE]


def applied(seen: Observed, made: Plan) -> Observed:
    """The same moment, with the runs that the plan asks for."""
    new = [a_run(*b.objects, attempt=b.attempt, created_at=seen.now) for b in made.launches]
    left = [run for run in seen.runs if run not in made.deletions]
    slots = seen.free_slots - len(new)
    return replace(seen, runs=(*left, *new), free_slots=slots)


@few
@given(scenes())
def test_no_key_is_in_two_live_runs(seen):
    runs = live(applied(seen, plan(seen)).runs)
    counts = Counter(item.key for run in runs for item in run.objects)
    assert set(counts.values()) <= {1}


@few
@given(scenes())
def test_the_limits_are_kept(seen):
    made, spec = plan(seen), seen.ingest.spec
    places = max(0, spec.parallelism - len(live(seen.runs)))
    assert len(made.launches) <= min(places, seen.free_slots)
    for launch in made.launches:
        assert 1 <= len(launch.objects) <= spec.batch.max_files
        size = sum(item.size for item in launch.objects)
        assert size <= spec.batch.max_bytes or len(launch.objects) == 1


@few
@given(scenes())
def test_each_listed_object_runs_waits_or_is_parked(seen):
    made = plan(seen)
    launched = [item for launch in made.launches for item in launch.objects]
    assert made.running + made.pending + len(made.parked) == len(seen.objects)
    assert made.running >= len(launched)
    chosen = [*launched, *made.parked]
    assert len({item.key for item in chosen}) == len(chosen)
    assert set(chosen) <= set(seen.objects)


@few
@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_does_not_matter(seen, random):
    shuffled = replace(
        seen,
        runs=tuple(random.sample(seen.runs, len(seen.runs))),
        objects=tuple(random.sample(seen.objects, len(seen.objects))),
    )
    assert plan(shuffled) == plan(seen)


@few
@given(scenes())
def test_a_plan_that_was_applied_is_done(seen):
    made = plan(seen)
    again = plan(applied(seen, made))
    assert (again.launches, again.deletions) == ((), ())
    assert (again.running, again.pending, again.parked) == (made.running, made.pending, made.parked)


@few
@given(scenes(max_wait=0))
def test_deletions_change_nothing_else(seen):
    made = plan(seen)
    left = tuple(run for run in seen.runs if run not in made.deletions)
    assert plan(replace(seen, runs=left)) == replace(made, deletions=())


@few
@given(scenes())
def test_nothing_is_launched_between_a_look_and_the_next(seen):
    made = plan(seen)
    if made.look_again_at:
        assert made.look_again_at > seen.now
        just_before = replace(seen, now=made.look_again_at - timedelta(microseconds=1))
        assert plan(just_before).launches == made.launches


# --- a life


@dataclass
class World:
    """A bucket, its Jobs, and an operator that does what the plan says, all made of values."""

    ingest: Ingest
    now: datetime = NOW
    objects: list[ObjectRef] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    loaded: set[object] = field(default_factory=set)
    tries: Counter[object] = field(default_factory=Counter)
    """Of each object, since a run last worked."""

    def look(self) -> Plan:
        seen = observed(*self.objects, runs=self.runs, ingest=self.ingest, now=self.now)
        made = plan(seen)
        self.runs = [run for run in self.runs if run not in made.deletions]
        for launch in made.launches:
            self.launch(launch.objects, launch.attempt)
        return made

    def launch(self, taken: tuple[ObjectRef, ...], attempt: int) -> None:
        busy = {item.key for run in live(tuple(self.runs)) for item in run.objects}
        assert busy.isdisjoint(item.key for item in taken), "launched twice at once"
        assert self.loaded.isdisjoint(map(identity, taken)), "launched after it was loaded"
        self.tries.update(map(identity, taken))
        self.runs.append(a_run(*taken, attempt=attempt, created_at=self.now))

    def end_one(self, outcome: Outcome) -> None:
        """The oldest live run ends; after a success its objects lie there no more."""
        run = live(tuple(self.runs))[0]
        self.now += timedelta(seconds=1)
        state = RunState.SUCCEEDED if outcome is Outcome.SUCCEEDED else RunState.FAILED
        ended = replace(run, state=state, outcome=outcome, finished_at=self.now)
        self.runs[self.runs.index(run)] = ended
        if outcome in (Outcome.SUCCEEDED, Outcome.QUARANTINED):
            self.loaded.update(map(identity, run.objects))
            self.objects = [item for item in self.objects if item not in run.objects]
            self.tries.clear()
        self._count(ended)

    def _count(self, run: Run) -> None:
        status = SalesIngestStatus(counted=[*self.ingest.status.counted, run.uid[:8]])
        self.ingest = replace(self.ingest, status=status)


def live_through(world: World, outcomes: Iterator[Outcome]) -> Plan:
    """Looks, ends runs and lets time pass until nothing is to come any more."""
    while True:
        made = world.look()
        if live(tuple(world.runs)):
            world.end_one(next(outcomes))
        elif made.look_again_at:
            world.now = made.look_again_at
        else:
            return made


def endings(drawn: list[Outcome]) -> Iterator[Outcome]:
    """These, and successes ever after."""
    yield from drawn
    while True:
        yield Outcome.SUCCEEDED


@few
@given(
    listed=listings(),
    overwritten=objects,
    drawn=st.lists(st.sampled_from(Outcome), max_size=25),
    max_attempts=st.integers(1, 3),
    max_files=st.integers(1, 4),
)
def test_every_object_ends_loaded_or_parked(listed, overwritten, drawn, max_attempts, max_files):
    retry = {"maxAttempts": max_attempts}
    batch = {"maxFiles": max_files}
    ttl = {"ttlSecondsAfterSucceeded": 0, "ttlSecondsAfterFailed": 0}
    world = World(an_ingest(retry=retry, batch=batch, job=ttl), objects=list(listed))
    world.look()
    kept = [item for item in world.objects if item.key != overwritten.key]
    world.objects = [*kept, overwritten.model_copy(update={"modified_at": world.now})]
    made = live_through(world, endings(drawn))
    assert set(made.parked) == set(world.objects)
    assert (made.running, made.pending) == (0, 0)


@few
@given(
    listed=listings(),
    drawn=st.lists(st.sampled_from(Outcome), max_size=25),
    max_attempts=st.integers(1, 3),
)
def test_no_object_is_tried_more_often_than_allowed_without_a_success(listed, drawn, max_attempts):
    world = World(an_ingest(retry={"maxAttempts": max_attempts}), objects=list(listed))
    outcomes = endings(drawn)
    while live(tuple(world.runs)) or world.look().launches:
        assert max(world.tries.values(), default=0) <= max_attempts
        world.end_one(next(outcomes))
        world.now += timedelta(hours=2)
