"""K1 and K2: files that come one at a time; how soon each has its Job, and its rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.cluster.figures import Figure, Measurement, percentile
from bench.cluster.ground import Ground, prefix_of
from bench.cluster.jobs import Jobs, NotMeasuredError
from bench.results import at_most
from sales_pipeline.generate import GenerateSpec, Tally, iter_csv
from tests.e2e.installation import BUCKET

NAME = "one-by-one"
ROWS = 1000

_POLL_SECONDS = 0.02
_LIMIT_SECONDS = 120
_COMMITTED = "SELECT count(*) FROM sales.ingest_object WHERE key = %s AND status = 'loaded'"


@dataclass(frozen=True)
class Passage:
    """How long after the beginning of its PUT something had happened to a file, in seconds."""

    put: float
    """The store had answered."""
    launched: float
    """Our watch told of its Job."""
    committed: float
    """Its line in the ledger could be read, and with it its rows."""
    finished: float
    """Our watch told that the Job was complete."""


def measure(ground: Ground, files: int, say: Callable[[str], None]) -> Measurement:
    """Put files, each when the Job of the one before has come to its end.

    Raises:
        NotMeasuredError: A file was not loaded.
    """
    ground.configure()
    ground.ingest(NAME)
    ground.wait_for_ingests()
    ground.wait_for_ingests("EventsReady")
    # One more than counts: the first run of all finds cold caches.
    spec = GenerateSpec(ROWS, files=files + 1, seed=41)
    with _way(ground) as way:
        passages = [way.send(spec, index) for index in range(spec.files)][1:]
        say(f"K1, K2: {files} files, one at a time")
    ground.clear()
    return _measurement(passages)


def _measurement(passages: list[Passage]) -> Measurement:
    launched = [passage.launched for passage in passages]
    committed = [passage.committed for passage in passages]
    upload = percentile([passage.put for passage in passages], 0.5)
    whole = percentile([passage.finished for passage in passages], 0.5)
    return Measurement(
        figures=[
            Figure("K1", "PUT -> Job created, p50", percentile(launched, 0.5), "s", at_most(0.5)),
            Figure("K1", "PUT -> Job created, p99", percentile(launched, 0.99), "s", at_most(2)),
            Figure("K2", "PUT -> rows committed, p50", percentile(committed, 0.5), "s", at_most(5)),
            Figure("K2", "PUT -> rows committed, p99", percentile(committed, 0.99), "s"),
        ],
        notes=[
            f"{len(passages)} files of {ROWS:,} rows, each sent when the Job before was complete",
            f"of these times the upload itself took {upload:.3f} s (median)",
            f"PUT -> Job complete: {whole:.2f} s (median)",
        ],
        runs=[asdict(passage) for passage in passages],
    )


@dataclass(frozen=True)
class _Way:
    """All that a file passes by."""

    s3: Any
    ledger: Any
    jobs: Jobs

    def send(self, spec: GenerateSpec, index: int) -> Passage:
        """Put a file, and see what becomes of it."""
        key = f"{prefix_of(NAME)}{index:05}.csv"
        body = b"".join(iter_csv(spec, index, Tally()))
        began = time.monotonic()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        put = time.monotonic()
        committed = self._committed_at(key)
        self.jobs.wait(f"the Job of {key} ends", lambda: self._is_finished(key), _LIMIT_SECONDS)
        finished = time.monotonic()
        launched = self.jobs.of(key)[0].seen_at
        return Passage(*(at - began for at in (put, launched, committed, finished)))

    def _committed_at(self, key: str) -> float:
        deadline = time.monotonic() + _LIMIT_SECONDS
        while self.ledger.execute(_COMMITTED, [key]).fetchone() == (0,):
            if time.monotonic() > deadline:
                raise NotMeasuredError(f"{key} was not loaded within {_LIMIT_SECONDS} s")
            time.sleep(_POLL_SECONDS)
        return time.monotonic()

    def _is_finished(self, key: str) -> bool:
        jobs = self.jobs.of(key)
        return bool(jobs) and all(job.ending for job in jobs)


@contextmanager
def _way(ground: Ground) -> Iterator[_Way]:
    made = ground.installation
    with (
        ground.supplier() as s3,
        made.database("metabase") as ledger,
        Jobs.watched(ground.api, ground.namespace.name) as jobs,
    ):
        yield _Way(s3, ledger, jobs)
