"""What a run did, in two forms: the bounded report for the operator, and a text for people."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sales_api.report import (
    MAX_CODES,
    MAX_ERRORS,
    ExitCode,
    Fate,
    Files,
    ReportedError,
    Rows,
    RunReport,
)
from sales_api.request import RunRequest
from sales_pipeline.errors import PermanentError, PipelineError
from sales_pipeline.run import Result

_COUNTERS = {
    Fate.LOADED: "loaded",
    Fate.ALREADY_LOADED: "already_loaded",
    Fate.QUARANTINED: "quarantined",
    Fate.GONE: "gone",
    Fate.FAILED: "failed",
}


def exit_code(results: Sequence[Result], error: PipelineError | None) -> ExitCode:
    """The run's exit code: the gravest there is a reason for, where waiting may still help first.

    An object that was loaded with a warning counts as loaded.
    """
    if error:
        return error.exit_code
    codes = {r.error.exit_code for r in results if r.error and r.fate is not Fate.LOADED}
    for code in (ExitCode.CONFIGURATION, ExitCode.TEMPORARY, ExitCode.DATA):
        if code in codes:
            return code
    return ExitCode.DONE


def total_rows(results: Sequence[Result]) -> Rows:
    """The rows of all objects together."""
    return sum((r.rows for r in results), Rows())


def total_codes(results: Sequence[Result]) -> Counter[str]:
    """How often each code was given."""
    return sum((r.codes for r in results), Counter())


def report_of(
    request: RunRequest | None,
    results: Sequence[Result],
    error: PipelineError | None,
    started_at: datetime,
) -> RunReport:
    """The report of a run.

    Args:
        request: What was asked for; None where that could not be understood.
        results: What became of each object.
        error: What stopped the run, if anything did.
        started_at: When it began.
    """
    fates = Counter(_COUNTERS[r.fate] for r in results)
    # Once each: what stopped the run may be what an object has failed for.
    errors = [e for e in dict.fromkeys([error, *(r.error for r in results)]) if e]
    return RunReport(
        ingest=request.ingest if request else "",
        run=request.run if request else "",
        attempt=request.attempt if request else 1,
        exit_code=exit_code(results, error),
        files=Files(**fates),
        rows=total_rows(results),
        reject_codes=dict(total_codes(results).most_common(MAX_CODES)),
        errors=[
            ReportedError(key=e.where, code=e.code, message=f"{e.what}. {e.mend}")
            for e in errors[:MAX_ERRORS]
        ],
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )


def show(console: Console, results: Sequence[Result], *, seconds: float) -> None:
    """Tell a person what a run did."""
    if not results:
        console.print("Nothing to do: no object waits under the prefix.")
        return
    console.print(_objects(results))
    codes = total_codes(results)
    if codes:
        console.print(_codes(codes))
    for result in results:
        if result.error:
            label = "warning" if result.fate is Fate.LOADED else _label(result.error)
            console.print(f"[bold]{label}[/] {escape(str(result.error))}", soft_wrap=True)
    rows = total_rows(results)
    rate = f", {rows.read / seconds:,.0f} rows/s" if rows.read and seconds > 0 else ""
    console.print(
        f"{len(results)} objects, {rows.read:,} rows read = {rows.loaded:,} loaded"
        f" + {rows.rejected:,} rejected + {rows.deduplicated:,} deduplicated"
        f" in {seconds:.1f} s{rate}."
    )


def _label(error: PipelineError) -> str:
    return "quarantined" if isinstance(error, PermanentError) else "failed"


def _objects(results: Sequence[Result]) -> Table:
    table = Table("object", "fate", box=None, pad_edge=False)
    for name in ("read", "loaded", "rejected", "dedup", "seconds"):
        table.add_column(name, justify="right")
    for r in results:
        counts = (r.rows.read, r.rows.loaded, r.rows.rejected, r.rows.deduplicated)
        numbers = [f"{count:,}" for count in counts]
        table.add_row(escape(r.key), r.fate.value, *numbers, f"{r.seconds:.2f}")
    return table


def _codes(codes: Counter[str]) -> Table:
    table = Table("rejected because", box=None, pad_edge=False)
    table.add_column("times", justify="right")
    for code, times in codes.most_common(12):
        table.add_row(code, f"{times:,}")
    return table
