"""The program itself: its help, its consoles, and the options that commands share."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
    Turns sales files into rows of a star schema: validated, anonymised, exactly once.

    A first look, without any server:  [bold]sales-pipeline check FILE --ingest INGEST.yaml[/]

    Where things are is read from the environment: SALES_S3_ENDPOINT, SALES_S3_CA_FILE,
    SALES_DB_HOST, SALES_DB_NAME, SALES_DB_SSLMODE (verify-full unless told otherwise),
    SALES_DB_SSL_ROOT_CERT, and SALES_CREDENTIALS_DIR (a folder with the files database,
    object-store and pseudonym), or SALES_CREDENTIALS=direct and SALES_VAULT_ADDR.
    docs/pipeline.md lists them all.

    Exit codes: 0 done; 65 a file is bad for good and lies in quarantine; 75 something around the
    run failed, run again; 78 the request, the settings or the rights are wrong.
    """,
)

IngestFile = Annotated[
    Path | None,
    typer.Option(
        "--ingest", "-f", help="A SalesIngest manifest; without it SALES_RUN_REQUEST counts."
    ),
]

out = Console()
err = Console(stderr=True)
