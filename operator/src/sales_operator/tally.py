"""Metrics of looks and runs: what an ingest's status says, for those who watch many."""

from datetime import datetime

from sales_api.ingest import SalesIngestStatus
from sales_api.report import Rows
from sales_operator import metrics
from sales_operator.observed import IngestKey, Launch, Observed, Plan

_PER_INGEST = (metrics.OBJECTS_PENDING, metrics.OBJECTS_PARKED, metrics.OLDEST_PENDING_SECONDS)


class Tally:
    """What was noted of each ingest, so that it can be taken back when the ingest goes."""

    def __init__(self) -> None:
        self._buckets: dict[IngestKey, str] = {}

    def note(self, seen: Observed, left: Plan) -> None:
        """How much waits now."""
        name = str(seen.ingest.key)
        self._buckets[seen.ingest.key] = seen.ingest.spec.source.bucket
        oldest = left.oldest_pending
        age = (seen.now - oldest).total_seconds() if oldest else 0
        metrics.OBJECTS_PENDING.labels(name).set(left.pending)
        metrics.OBJECTS_PARKED.labels(name).set(len(left.parked))
        metrics.OLDEST_PENDING_SECONDS.labels(name).set(max(age, 0))

    def forget(self, key: IngestKey) -> str | None:
        """Drop what was noted; tells the bucket of an ingest that was known."""
        bucket = self._buckets.pop(key, None)
        if bucket:
            for gauge in _PER_INGEST:
                gauge.remove(str(key))
        return bucket


def count(before: SalesIngestStatus, after: SalesIngestStatus, seen: Observed) -> None:
    """The runs that a status counts for the first time."""
    fresh = set(after.counted) - set(before.counted)
    for run in seen.runs:
        if run.token not in fresh or run.outcome is None:
            continue
        metrics.RUNS.labels(run.outcome.value).inc()
        rows = run.report.rows if run.report else Rows()
        for fate in ("loaded", "rejected", "deduplicated"):
            metrics.ROWS.labels(fate).inc(getattr(rows, fate))
        for ref in run.objects if run.finished_at else ():
            metrics.COMMIT_LATENCY.observe(_seconds(ref.modified_at, run.finished_at))


def launched(launch: Launch, now: datetime) -> None:
    """How long the objects of a first attempt had to wait for their Job."""
    for ref in launch.objects if launch.attempt == 1 else ():
        metrics.LAUNCH_LATENCY.observe(_seconds(ref.modified_at, now))


def _seconds(start: datetime, end: datetime | None) -> float:
    # The object store's clock may be ahead of ours.
    return max((end - start).total_seconds(), 0) if end else 0
