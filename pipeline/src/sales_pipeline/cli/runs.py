"""Commands that load objects: run, sweep, reprocess."""

from typing import Annotated

import typer
from rich.markup import escape

from sales_api.request import ObjectRef, RunRequest
from sales_pipeline import batch, reach, session
from sales_pipeline import reprocess as reprocessing
from sales_pipeline.batch import Connections
from sales_pipeline.cli.base import IngestFile, app, err, out
from sales_pipeline.errors import ConfigurationError
from sales_pipeline.history import Selection
from sales_pipeline.run import Work
from sales_pipeline.settings import read_settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell which objects are meant.")]


@app.command()
def run() -> None:
    """Do what SALES_RUN_REQUEST says; this is what a Job calls.

    The request names the objects; without any, it is a sweep of the prefix. A report of at most
    4096 bytes goes to SALES_TERMINATION_LOG.
    """

    def plan(opened: Connections, request: RunRequest) -> list[Work]:
        return _works(request.objects or _waiting(opened, request))

    settings = read_settings()
    reach.wait(settings)
    raise typer.Exit(session.execute(lambda: session.find_request(None), settings, plan, out))


@app.command()
def sweep(*, ingest: IngestFile = None, dry_run: DryRun = False) -> None:
    """List the prefix and bring every object there to its final place, oldest first.

    Safe at any time and as often as you like: what the ledger knows is only archived.
    """

    def plan(opened: Connections, request: RunRequest) -> list[Work]:
        works = _works(_waiting(opened, request))
        return _told(works) if dry_run else works

    settings = read_settings()
    reach.wait(settings)
    raise typer.Exit(session.execute(lambda: session.find_request(ingest), settings, plan, out))


@app.command("reach")
def reach_servers() -> None:
    """Wait until object store, database and Vault take connections, for SALES_REACH_SECONDS.

    For a pod, whose network may not be quite there when it starts.
    """
    reach.reach(read_settings())


@app.command()
def reprocess(  # noqa: PLR0913 - options of a command
    *,
    ingest: IngestFile = None,
    key: Annotated[
        list[str] | None, typer.Option(help="This object, by its original key. May be repeated.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Objects whose original key begins so.")
    ] = None,
    of_run: Annotated[str | None, typer.Option("--run", help="Objects of this run.")] = None,
    contract_changed: Annotated[
        bool, typer.Option(help="Objects that were read under another contract than this one.")
    ] = False,
    quarantined: Annotated[
        bool, typer.Option(help="Only objects that were refused as a whole.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Read archived or quarantined objects again, under the contract as it is now.

    Options narrow the choice together; at least one is needed. The new reading of an object
    replaces the earlier one; if it is refused, everything stays as it was.

    Example: sales-pipeline reprocess -f ingest.yaml --quarantined --prefix raw/2026-11-
    """
    if not (key or prefix or of_run or contract_changed or quarantined):
        raise ConfigurationError(
            "nothing says which objects are meant",
            where="reprocess",
            mend="Give --key, --prefix, --run, --contract-changed or --quarantined.",
            code="request.selection",
        )

    keys: list[str | None] = [*key] if key else [None]

    def plan(opened: Connections, request: RunRequest) -> list[Work]:
        selections = [
            Selection(
                request.source.bucket,
                key=one,
                prefix=prefix,
                run=of_run,
                status="quarantined" if quarantined else None,
                other_than_contract=request.digest() if contract_changed else None,
            )
            for one in keys
        ]
        doors = opened.doors()
        if not dry_run:
            reprocessing.finish(doors.warehouse, doors.bucket, request.source)
        found = reprocessing.plan(doors.warehouse, doors.bucket, selections)
        for missing in found.missing:
            err.print(f"not there any more: {escape(missing)}", soft_wrap=True)
        return _told(found.works) if dry_run else found.works

    settings = read_settings()
    raise typer.Exit(session.execute(lambda: session.find_request(ingest), settings, plan, out))


def _waiting(opened: Connections, request: RunRequest) -> list[ObjectRef]:
    return batch.sweep(opened.doors().bucket, request.source)


def _works(refs: list[ObjectRef]) -> list[Work]:
    return list(batch.first_readings(refs))


def _told(works: list[Work]) -> list[Work]:
    for work in works:
        out.print(f"would process {escape(work.ref.key)}", soft_wrap=True)
    out.print(f"{len(works)} objects; nothing was done.")
    return []
