"""The numbers of a status: each finished run is counted once, however often it is looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sales_api.ingest import FileCounts, RunSummary, SalesIngestStatus
from sales_api.report import Files, Rows
from sales_operator.observed import Observed, Outcome, Plan, Run, RunState

_MAX_COUNTED: Final = 1024
_MAX_RECENT: Final = 5
_MAX_ACTIVE: Final = 64
_MAX_COUNT: Final = 10**15
"""What a count may be. A report that lies must not make the status one that cannot be written."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Counts:
    """Everything in a status but its conditions and its schedule."""

    files: FileCounts
    rows: Rows
    counted: list[str]
    recent_runs: list[RunSummary]
    """Newest first."""
    last_success_time: datetime | None
    active_jobs: list[str]

    @property
    def last_run(self) -> RunSummary | None:
        """The newest that has ended."""
        return self.recent_runs[0] if self.recent_runs else None


def count(seen: Observed, plan: Plan) -> Counts:
    """The numbers as they are now, made from those in the status and the runs not counted yet."""
    before = seen.ingest.status
    counted = set(before.counted)
    ended = finished(seen.runs)[-_MAX_COUNTED:]
    new = [run for run in ended if run.token not in counted]
    return Counts(
        files=_files(seen, plan, new),
        rows=_sum_of_rows(before.rows, new),
        counted=[run.token for run in ended],
        recent_runs=_recent(before, ended),
        last_success_time=_last_success(before, ended),
        active_jobs=sorted(run.name for run in live(seen.runs))[:_MAX_ACTIVE],
    )


def live(runs: Iterable[Run]) -> list[Run]:
    """Those that may still do something, by name."""
    return sorted((run for run in runs if run.is_live), key=lambda run: run.name)


def finished(runs: Iterable[Run]) -> list[Run]:
    """Those that have ended, oldest first."""
    ended = (run for run in runs if not run.is_live)
    return sorted(ended, key=lambda run: (run.ended_at, run.name))


def outcome_of(run: Run) -> Outcome:
    """How a finished run ended; what nobody saw is a crash."""
    unseen = Outcome.SUCCEEDED if run.state is RunState.SUCCEEDED else Outcome.CRASHED
    return run.outcome or unseen


def has_loaded(run: Run) -> bool:
    """Whether a finished run brought data; one that found nothing to do has not.

    A run that succeeded and left no report is believed to have.
    """
    if outcome_of(run) not in {Outcome.SUCCEEDED, Outcome.QUARANTINED}:
        return False
    return run.report.files.loaded > 0 if run.report else outcome_of(run) is Outcome.SUCCEEDED


def _files(seen: Observed, plan: Plan, new: Iterable[Run]) -> FileCounts:
    before = seen.ingest.status.files
    reports = [run.report.files if run.report else Files() for run in new]
    # Nobody knows what waits in a bucket that cannot be listed: the last listing still counts.
    is_listed = seen.source is None
    return FileCounts(
        pending=plan.pending if is_listed else before.pending,
        running=plan.running,
        failed=len(plan.parked) if is_listed else before.failed,
        loaded=_bounded(before.loaded + sum(files.loaded for files in reports)),
        quarantined=_bounded(before.quarantined + sum(files.quarantined for files in reports)),
    )


def _sum_of_rows(before: Rows, new: Iterable[Run]) -> Rows:
    parts = [before, *(run.report.rows for run in new if run.report)]
    names = Rows.model_fields
    return Rows(**{name: _bounded(sum(getattr(part, name) for part in parts)) for name in names})


def _bounded(number: int) -> int:
    return min(number, _MAX_COUNT)


def _recent(before: SalesIngestStatus, ended: Iterable[Run]) -> list[RunSummary]:
    """The newest of those seen now and those told of before, whose Jobs may be gone."""
    told = [*before.recent_runs, *([before.last_run] if before.last_run else [])]
    by_name = {run.job: run for run in told} | {run.name: _summary(run) for run in ended}
    newest = sorted(by_name.values(), key=lambda s: (s.finished_at or _LONG_AGO, s.job))
    return newest[: -_MAX_RECENT - 1 : -1]


def _summary(run: Run) -> RunSummary:
    return RunSummary(
        job=run.name,
        attempt=run.attempt,
        started_at=run.started_at,
        finished_at=run.ended_at,
        outcome=outcome_of(run).value,
        rows=run.report.rows if run.report else Rows(),
    )


def _last_success(before: SalesIngestStatus, ended: Iterable[Run]) -> datetime | None:
    ends = [run.ended_at for run in ended if has_loaded(run)]
    return max(
        [*ends, *([before.last_success_time] if before.last_success_time else [])], default=None
    )
