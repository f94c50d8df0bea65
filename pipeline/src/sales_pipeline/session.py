"""One run from start to report: what `run`, `sweep` and `reprocess` have in common.

A person at a terminal gets a progress bar and a summary; a Job gets JSON logs and writes a report.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from sales_api.report import ExitCode, RunReport
from sales_api.request import RequestError, RunRequest
from sales_pipeline import logs, summary
from sales_pipeline.batch import Connections, connections, ignore, process_all
from sales_pipeline.errors import ConfigurationError, PipelineError
from sales_pipeline.ingest_file import read_ingest
from sales_pipeline.run import Result, Work
from sales_pipeline.settings import Settings

log = logging.getLogger(__name__)

Planner = Callable[[Connections, RunRequest], Sequence[Work]]
"""Finds the objects of a run."""


def find_request(ingest: Path | None, environ: Mapping[str, str] = os.environ) -> RunRequest:
    """The request: from a SalesIngest file if one is named, else from the environment.

    Raises:
        ConfigurationError: There is none, or it cannot be understood.
    """
    if ingest:
        return read_ingest(ingest, run=f"cli-{uuid.uuid4().hex[:12]}")
    try:
        return RunRequest.from_env(environ)
    except RequestError as error:
        raise ConfigurationError(
            str(error),
            where="SALES_RUN_REQUEST",
            mend="Name a SalesIngest with --ingest FILE, or set the variable as a Job does.",
            code="request.invalid",
        ) from None


def execute(
    find: Callable[[], RunRequest], settings: Settings, plan: Planner, console: Console
) -> ExitCode:
    """Run to the end, whatever happens, and tell of it.

    Args:
        find: Where the request comes from.
        settings: The surroundings.
        plan: Which objects are meant.
        console: Where a person would read.

    Raises:
        PipelineError: What stopped the run; the report is written all the same.
    """
    started_at, started = datetime.now(UTC), time.monotonic()
    request: RunRequest | None = None
    results: list[Result] = []
    error: PipelineError | None = None
    try:
        request = find()
        logs.start(quiet=console.is_terminal, ingest=request.ingest, run=request.run)
        for result in _results(request, settings, plan, console):
            results.append(result)  # noqa: PERF402 - what ended before an error counts
    except PipelineError as stopped:
        error = stopped
    report = summary.report_of(request, results, error, started_at)
    if settings.termination_log:
        _leave(report, settings.termination_log)
    if error:
        raise error
    if console.is_terminal:
        summary.show(console, results, seconds=time.monotonic() - started)
    log.info("run ended", extra={"report": report.model_dump(by_alias=True, mode="json")})
    return report.exit_code


def _leave(report: RunReport, place: Path) -> None:
    try:
        place.write_bytes(report.to_message())
    except OSError as error:
        # What was done is done: that nobody hears of it here must not make it a failure.
        log.error("report not written", extra={"where": str(place), "why": error.strerror})  # noqa: TRY400


def _results(
    request: RunRequest, settings: Settings, plan: Planner, console: Console
) -> Iterator[Result]:
    with connections(settings, request.source.bucket) as opened:
        works = plan(opened, request)
        total = sum(work.stored.size for work in works)
        with progress(console, total) as on_bytes:
            yield from process_all(works, request, opened, on_bytes)


@contextmanager
def progress(console: Console, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing elsewhere; gives what is to be told of each chunk."""
    if not console.is_terminal:
        yield ignore
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading", total=total)
        yield lambda size: bar.advance(task, size)
