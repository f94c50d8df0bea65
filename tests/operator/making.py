"""Values the operator decides from, with defaults: a test names only what it is about."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sales_api.ingest import SalesIngestSpec, SalesIngestStatus
from sales_api.report import RunReport
from sales_api.request import ObjectRef
from sales_operator.observed import Epoch, Ingest, IngestKey, Observed, Outcome, Run, RunState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH = Epoch(generation=1)

_numbers = count(1)


def ago(seconds: float = 0, **other: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(seconds=seconds, **other)


def an_ingest(
    *,
    name: str = "daily",
    namespace: str = "sales",
    epoch: Epoch = EPOCH,
    status: SalesIngestStatus | None = None,
    **spec: Any,
) -> Ingest:
    """An ingest of bucket `sales`; further arguments are parts of its spec, as YAML has them."""
    return Ingest(
        key=IngestKey(namespace, name),
        uid=f"uid-of-{name}",
        resource_version="1",
        epoch=epoch,
        spec=SalesIngestSpec.model_validate({"source": {"bucket": "sales"}} | spec),
        status=status or SalesIngestStatus(),
        created_at=ago(days=30),
    )


def an_object(
    key: str = "raw/a.csv",
    *,
    etag: str = "e1",
    size: int = 1000,
    modified_at: datetime = NOW - timedelta(minutes=1),
    version_id: str | None = None,
) -> ObjectRef:
    """An object, one minute old."""
    return ObjectRef(key=key, etag=etag, size=size, modified_at=modified_at, version_id=version_id)


def a_run(  # noqa: PLR0913 - a factory: whatever a test is about can be named
    *objects: ObjectRef,
    outcome: Outcome | None = None,
    attempt: int = 1,
    epoch: Epoch = EPOCH,
    created_at: datetime | None = None,
    finished_at: datetime | None = None,
    is_sweep: bool = False,
    report: RunReport | None = None,
    uid: str = "",
    name: str = "",
    trouble: str = "",
) -> Run:
    """A run of these objects: live, or finished 10 s ago where it has an outcome.

    It began 20 s before it ended, or before now. Each has a uid of its own, whose first 8
    characters differ from those of every other.
    """
    number = next(_numbers)
    finished = finished_at or (ago(10) if outcome else None)
    created = created_at or (finished or NOW) - timedelta(seconds=20)
    return Run(
        name=name or f"daily-{number:08d}",
        uid=uid or f"{number:08d}-0000-4000-8000-000000000000",
        state=_state(outcome),
        epoch=epoch,
        attempt=attempt,
        created_at=created,
        objects=objects,
        is_sweep=is_sweep,
        started_at=created,
        finished_at=finished,
        outcome=outcome,
        report=report,
        trouble=trouble,
    )


def _state(outcome: Outcome | None) -> RunState:
    if outcome is None:
        return RunState.LIVE
    return RunState.SUCCEEDED if outcome is Outcome.SUCCEEDED else RunState.FAILED


def observed(
    *objects: ObjectRef,
    runs: Sequence[Run] = (),
    ingest: Ingest | None = None,
    now: datetime = NOW,
    **surroundings: Any,
) -> Observed:
    """What is seen NOW of an ingest (`an_ingest()`, unless another one is given)."""
    return Observed(
        ingest=ingest or an_ingest(), now=now, runs=tuple(runs), objects=objects, **surroundings
    )
