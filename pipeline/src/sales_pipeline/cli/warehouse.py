"""Commands about the database: migrate, history."""

from typing import Annotated, Literal

import typer
from rich.markup import escape

from sales_pipeline import history as histories
from sales_pipeline.cli.base import app, out
from sales_pipeline.credentials import open_database_login
from sales_pipeline.history import Selection
from sales_pipeline.migrate import migrate as bring_up_to_date
from sales_pipeline.settings import read_settings
from sales_pipeline.warehouse import Warehouse

Bucket = Annotated[str, typer.Option("--bucket", "-b", help="The bucket.")]


@app.command()
def migrate() -> None:
    """Create the schema, or bring it up to date, with the owner's login.

    Makes the group roles etl_loader (for the pipeline's login) and metabase_reader (for
    dashboards) where they are not there yet; for that the owner needs CREATEROLE once.
    """
    settings = read_settings()
    with (
        open_database_login(settings) as login,
        Warehouse.connect(settings, login) as warehouse,
    ):
        applied = bring_up_to_date(warehouse, settings.db_schema)
    for name in applied:
        out.print(f"applied {escape(name)}")
    out.print(f"schema {settings.db_schema} is up to date")


@app.command()
def history(  # noqa: PLR0913 - options of a command
    *,
    bucket: Bucket,
    key: Annotated[
        str | None, typer.Option("--object", "-o", help="All about this one, by its original key.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="Original keys that begin so.")] = None,
    of_run: Annotated[str | None, typer.Option("--run", help="Objects of this run.")] = None,
    status: Annotated[
        Literal["loaded", "quarantined"] | None, typer.Option(help="Objects that ended so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """Tell what the ledger knows of objects: one line each, or all about one."""
    settings = read_settings()
    selection = Selection(
        bucket, key, prefix, of_run, status, superseded=key is not None, limit=limit
    )
    with (
        open_database_login(settings) as login,
        Warehouse.connect(settings, login) as warehouse,
    ):
        rows = histories.find(warehouse, selection)
        codes = (
            {r["object_id"]: histories.reject_codes(warehouse, r["object_id"]) for r in rows}
            if key
            else {}
        )
    if as_json:
        typer.echo(histories.as_json(rows))
    elif key:
        for row in rows:
            histories.show_in_full(out, row, codes[row["object_id"]])
    else:
        histories.show(out, rows)
