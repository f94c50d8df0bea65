"""K4: a burst of events. Each object runs once, and the API server is asked no more for it.

The same number of objects comes twice: first with one event each, then with ten, nine of them
posted straight to the receivers, as a store that was cut off would repeat them.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import urllib3

from bench.cluster import replicas
from bench.cluster.figures import Figure, Measurement, told
from bench.cluster.ground import Ground, prefix_of
from bench.cluster.jobs import Jobs, NotMeasuredError, SeenJob, launches_by_key
from bench.results import at_most
from sales_pipeline.generate import GenerateSpec, Tally, iter_csv
from tests.e2e.installation import BUCKET

SECONDS = 10
EVENTS_EACH = 10
PER_INGEST = 4
MOST_MORE = 1.5
"""So much may requests per Job grow with ten times the events: two runs are never quite alike."""

_ROWS = 20
_AT_ONCE = 8
_LIMIT_SECONDS = 1800
_SMALL = {"resources": {"requests": {"cpu": "50m", "memory": "192Mi"}}}
"""So that several runs fit a node of two cores, beside the platform."""
_LEDGER = "SELECT key, count(*) FROM sales.ingest_object WHERE key LIKE %s GROUP BY key"
_ACCEPTED = 300


@dataclass(frozen=True)
class Wave:
    """What came of one sending of all objects."""

    objects: int
    events: int
    """That the receivers took in."""
    jobs: int
    requests: Mapping[str, int]
    """Of the operator to the API server, by verb and resource."""
    seconds: float
    """From the first PUT to the last event posted."""
    failed_jobs: int
    """After them, launching their objects once more is what should be."""
    launched_otherwise: int
    """Objects that were named in no Job, or in one more although none of theirs had failed."""
    loaded_otherwise: int
    """Objects that the ledger knows more than once."""

    @property
    def requests_per_job(self) -> float:
        """What a run costs the API server."""
        return self.all_requests / self.jobs

    @property
    def all_requests(self) -> int:
        """All of them."""
        return sum(self.requests.values())


def measure(ground: Ground, ingests: int, say: Callable[[str], None]) -> Measurement:
    """Both waves, over the same ingests.

    Raises:
        NotMeasuredError: An object was not loaded, or an event not taken in.
    """
    ground.configure()
    for number in range(ingests):
        ground.ingest(_name(number), job=_SMALL)
    ground.wait_for_ingests()
    ground.wait_for_ingests("EventsReady")
    waves = []
    for name, events_each in (("calm", 1), ("loud", EVENTS_EACH)):
        waves.append(_wave(ground, name, _keys(name, ingests), events_each))
        say(f"K4: {waves[-1].events:,} events, {waves[-1].jobs} Jobs")
    ground.clear()
    return _measurement(*waves)


def _measurement(calm: Wave, loud: Wave) -> Measurement:
    otherwise = sum(wave.launched_otherwise + wave.loaded_otherwise for wave in (calm, loud))
    more = loud.requests_per_job / calm.requests_per_job
    per_event = loud.all_requests / loud.events
    what = f"API requests per Job, {EVENTS_EACH} events an object / 1"
    figures = [
        Figure("K4", "objects not run exactly once", otherwise, "", at_most(0)),
        Figure("K4", what, more, "x", at_most(MOST_MORE)),
        Figure("K4", "API requests per Job in the burst", loud.requests_per_job, ""),
        Figure("K4", "API requests per event in the burst", per_event, ""),
    ]
    notes = [
        f"{wave.objects} objects, {wave.events:,} events in {wave.seconds:.1f} s: {wave.jobs} Jobs,"
        f" {wave.failed_jobs} of them failed; API requests: {told(wave.requests)}"
        for wave in (calm, loud)
    ]
    return Measurement(figures, notes, [asdict(calm), asdict(loud)])


def _name(number: int) -> str:
    return f"burst-{number:03}"


def _keys(wave: str, ingests: int) -> list[str]:
    """The objects of a wave, such that neighbours are of different ingests."""
    return [
        f"{prefix_of(_name(number))}{wave}-{copy}.csv"
        for copy in range(PER_INGEST)
        for number in range(ingests)
    ]


# --- one wave -----------------------------------------------------------------------------------


def _wave(ground: Ground, name: str, keys: list[str], events_each: int) -> Wave:
    made = ground.installation
    before = ground.replicas.counts()
    with (
        ground.supplier() as s3,
        made.database("metabase") as ledger,
        Jobs.watched(ground.api, ground.namespace.name) as jobs,
        _posts(ground) as post,
    ):
        seconds = _send(s3, post, keys, events_each)

        def of_wave() -> list[SeenJob]:
            return [job for job in jobs.all() if set(job.keys) & set(keys)]

        def loaded() -> dict[str, int]:
            return dict(ledger.execute(_LEDGER, [f"%/{name}-%"]).fetchall())

        def is_done() -> bool:
            return all(job.ending for job in of_wave()) and len(loaded()) == len(keys)

        jobs.wait(f"all objects of the {name} wave are run", is_done, _LIMIT_SECONDS)
        launched, lines = of_wave(), loaded()
    after = ground.replicas.counts()
    events = round(replicas.total(after, _EVENTS) - replicas.total(before, _EVENTS))
    if events < len(keys) * events_each:
        raise NotMeasuredError(f"{events} events were taken in, not {len(keys) * events_each}")
    return Wave(
        objects=len(keys),
        events=events,
        jobs=len(launched),
        requests=dict(replicas.requests(after) - replicas.requests(before)),
        seconds=seconds,
        failed_jobs=sum(job.ending == "Failed" for job in launched),
        launched_otherwise=not_launched_once(launched, keys),
        loaded_otherwise=sum(lines[key] != 1 for key in keys),
    )


_EVENTS = "sales_operator_events_total"


def not_launched_once(jobs: Sequence[SeenJob], keys: Sequence[str]) -> int:
    """How many objects no Job was made for, or one too many: one more than have failed."""
    times = launches_by_key(jobs)
    failed = launches_by_key([job for job in jobs if job.ending == "Failed"])
    return sum(key not in times or times[key] > failed.get(key, 0) + 1 for key in keys)


def _send(s3: Any, post: Callable[[str], None], keys: list[str], events_each: int) -> float:
    """Put objects, evenly over the seconds, and repeat the event of each."""
    spec = GenerateSpec(_ROWS, files=len(keys), seed=43)
    bodies = [b"".join(iter_csv(spec, index, Tally())) for index in range(len(keys))]
    began = time.monotonic()

    def deliver(index: int) -> None:
        # What is late is not put off: it follows at once.
        time.sleep(max(began + index * SECONDS / len(keys) - time.monotonic(), 0))
        s3.put_object(Bucket=BUCKET, Key=keys[index], Body=bodies[index])
        for _ in range(events_each - 1):
            post(keys[index])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sent: list[Future[None]] = [pool.submit(deliver, index) for index in range(len(keys))]
    for one in sent:
        one.result()
    return time.monotonic() - began


@contextmanager
def _posts(ground: Ground) -> Iterator[Callable[[str], None]]:
    """Gives what posts an object's event to a receiver: to each replica in turn, as a Service."""
    made = ground.installation
    headers = {"Authorization": f"Bearer {made.passwords['events']}"}
    with ExitStack() as stack:
        pools = []
        for pod in ground.replicas.pods():
            port = stack.enter_context(made.namespace.forward(f"pod/{pod}", 8443))
            pools.append(
                urllib3.HTTPSConnectionPool(
                    "localhost", port, maxsize=_AT_ONCE, ca_certs=str(made.ca)
                )
            )
        turns = itertools.cycle(pools)

        def post(key: str) -> None:
            answer = next(turns).request("POST", "/events", body=event(key), headers=headers)
            if answer.status >= _ACCEPTED:
                raise NotMeasuredError(f"the receiver answers {answer.status}")

        yield post


def event(key: str) -> bytes:
    """What the store says of a new object."""
    where = {"bucket": {"name": BUCKET}, "object": {"key": key}}
    return json.dumps({"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": where}]}).encode()
