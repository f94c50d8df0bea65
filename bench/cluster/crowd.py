"""K3: a thousand ingests and ten thousand objects, whose runs are played on a fake node."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import urllib3

from bench.cluster import replicas
from bench.cluster.api import ApiError
from bench.cluster.fake_nodes import PLACEMENT, fake_node
from bench.cluster.figures import Figure, Measurement, growth, told
from bench.cluster.ground import Ground, prefix_of
from bench.cluster.jobs import Jobs, NotMeasuredError, launches_by_key
from bench.cluster.played_runs import played_runs
from bench.cluster.replicas import Replicas, Use, by_pod, cores
from bench.results import at_most
from tests.e2e.installation import BUCKET

REPLICAS = 2
GROWTH_MIB = 5
"""What two readings of one and the same program may differ by."""

_LOOK_SECONDS = 10
_AT_ONCE = 8
_LIMIT_SECONDS = 3600
_BODY = b"order_id\n"
"""Nobody reads it: what counts is that the object is there."""


@dataclass(frozen=True)
class Size:
    """How large the crowd is, and how long it is watched at rest."""

    ingests: int
    objects: int
    minutes: float


@dataclass(frozen=True)
class Times:
    """What was seen, in seconds since the operator was started."""

    planned: float
    """The last object was named in a Job."""
    ended: float
    """The last Job was complete."""
    settled: float
    """The last status had counted that."""


@dataclass(frozen=True)
class Totals:
    """What it took."""

    jobs: int
    launched_again: int
    """Objects that were named in more than one Job."""
    requests: Mapping[str, int]
    """Of the operator to the API server, by verb and resource."""
    restarts: int
    """Of the operator's containers, such as after a lack of memory."""


def measure(ground: Ground, size: Size, folder: Path, say: Callable[[str], None]) -> Measurement:
    """Let an operator wake up to the whole backlog, and watch it at rest afterwards.

    Raises:
        NotMeasuredError: An object got no Job, a Job did not end, a status did not settle.
    """
    # The cap on live Jobs is the installer's: what is measured is how fast the operator plans.
    ground.configure(maxLiveJobs=size.objects)
    ground.replicas.scale(0)
    with (
        fake_node(ground.api, folder),
        Jobs.watched(ground.api, ground.namespace.name) as jobs,
        played_runs(ground),
    ):
        _fill(ground, size)
        say(f"K3: {size.ingests:,} ingests and {size.objects:,} objects are there")
        with _looking(ground.replicas) as uses:
            times = _work_off(ground, size, jobs)
            say(f"K3: planned after {times.planned:.0f} s, at rest after {times.settled:.0f} s")
            rest_from = time.time()
            time.sleep(size.minutes * 60)
        totals = _totals(ground, jobs)
        ground.clear()
    return _measurement(size, times, totals, _Uses(uses, rest_from))


def _totals(ground: Ground, jobs: Jobs) -> Totals:
    launches = launches_by_key(jobs.all())
    return Totals(
        jobs=len(jobs.all()),
        launched_again=sum(number > 1 for number in launches.values()),
        requests=dict(replicas.requests(ground.replicas.counts())),
        restarts=ground.replicas.restarts(),
    )


def _measurement(size: Size, times: Times, totals: Totals, uses: "_Uses") -> Measurement:
    figures = [
        Figure("K3", "time to plan all, start of the operator included", times.planned, "s"),
        Figure("K3", "CPU of all replicas at rest", uses.cores_at_rest, "cores", at_most(0.5)),
        Figure("K3", "largest working set of a replica", uses.peak_mib, "MiB", at_most(512)),
        Figure("K3", "growth of a replica at rest", uses.growth_mib, "MiB", at_most(GROWTH_MIB)),
        Figure("K3", "restarts of the operator", totals.restarts, "", at_most(0)),
    ]
    notes = [
        f"{size.ingests:,} ingests, {size.objects:,} objects: {totals.jobs:,} Jobs",
        f"objects named in more than one Job: {totals.launched_again}",
        f"API requests: {told(totals.requests)}",
        f"all Jobs complete after {times.ended:.0f} s",
        f"all statuses settled after {times.settled:.0f} s",
        f"CPU until then: {uses.cpu_seconds_before:.0f} s",
        f"at rest: {size.minutes:g} minutes without an event, the quarters' medians compared",
    ]
    runs = [asdict(size), asdict(times), asdict(totals), *map(asdict, uses.all)]
    return Measurement(figures, notes, runs)


@dataclass(frozen=True)
class _Uses:
    """What the replicas have used, and from when on they were at rest."""

    all: Sequence[Use]
    rest_from: float

    @property
    def cpu_seconds_before(self) -> float:
        """Until they were at rest."""
        before = by_pod([use for use in self.all if use.at < self.rest_from])
        return sum(pod[-1].cpu_seconds for pod in before)

    @property
    def cores_at_rest(self) -> float:
        return sum(map(cores, by_pod(self._at_rest)))

    @property
    def peak_mib(self) -> float:
        return max(use.memory_mib for use in self.all)

    @property
    def growth_mib(self) -> float:
        return max(growth([use.memory_mib for use in pod]) for pod in by_pod(self._at_rest))

    @property
    def _at_rest(self) -> list[Use]:
        found = [use for use in self.all if use.at >= self.rest_from]
        if not found:
            raise NotMeasuredError("the kubelet tells nothing of the operator's pods")
        return found


# --- the crowd ----------------------------------------------------------------------------------


def _name(number: int) -> str:
    return f"crowd-{number:04}"


def _fill(ground: Ground, size: Size) -> None:
    with ground.supplier() as s3, ThreadPoolExecutor(_AT_ONCE) as pool:

        def put(index: int) -> None:
            key = f"{prefix_of(_name(index % size.ingests))}{index:05}.csv"
            s3.put_object(Bucket=BUCKET, Key=key, Body=_BODY)

        list(pool.map(lambda n: ground.ingest(_name(n), job=PLACEMENT), range(size.ingests)))
        list(pool.map(put, range(size.objects)))


def _work_off(ground: Ground, size: Size, jobs: Jobs) -> Times:
    began = time.monotonic()
    ground.replicas.scale(REPLICAS)
    jobs.wait("all are planned", lambda: jobs.launched() == size.objects, _LIMIT_SECONDS)
    planned = time.monotonic() - began
    jobs.wait("all Jobs end", lambda: all(job.ending for job in jobs.all()), _LIMIT_SECONDS)
    ended = time.monotonic() - began
    _wait_until_settled(ground, size)
    return Times(planned, ended, time.monotonic() - began)


def _wait_until_settled(ground: Ground, size: Size) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not is_settled([status.get("files", {}) for status in ground.statuses()], size.objects):
        if time.monotonic() > deadline:
            raise NotMeasuredError(f"the statuses do not settle within {_LIMIT_SECONDS} s")
        time.sleep(_LOOK_SECONDS)


def is_settled(files: Sequence[dict[str, int]], objects: int) -> bool:
    """Whether statuses, together, have counted all objects as loaded, and nothing as waiting."""
    waiting = sum(each.get("pending", 0) + each.get("running", 0) for each in files)
    return not waiting and sum(each.get("loaded", 0) for each in files) == objects


# --- what the operator uses ---------------------------------------------------------------------


@contextlib.contextmanager
def _looking(where: Replicas) -> Iterator[list[Use]]:
    """Look every few seconds at what the replicas use; the list is filled when the block ends."""
    found: dict[tuple[str, float], Use] = {}
    uses: list[Use] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(_LOOK_SECONDS):
            # One look may fail, on a busy machine; if all do, there is nothing to tell.
            with contextlib.suppress(ApiError, urllib3.exceptions.HTTPError):
                found.update({(use.pod, use.at): use for use in where.uses()})

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield uses
    finally:
        stop.set()
        looker.join()
        uses += sorted(found.values(), key=lambda use: use.at)
