"""The program `sales-vault`."""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from sales_vault import logs
from sales_vault.errors import ConfigurationError, SetupError
from sales_vault.settings import read_settings
from sales_vault.setup import differences, set_up
from sales_vault.wanted import read_plan

CRASHED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
    Brings Vault to what a plan says, and leaves no root token behind.

    Where Vault is, and who opens it, is read from the environment:
    SALES_VAULT_ADDR: its address, https only
    SALES_VAULT_CA_FILE: the CA of its certificate
    SALES_VAULT_MODE: dev, shamirJob, autoUnseal or selfInit
    SALES_VAULT_TOKEN_FILE: the pod's token with audience vault
    SALES_VAULT_KEYS_SECRET: the Kubernetes Secret for the keys
    SALES_VAULT_WAIT_SECONDS: how long to wait for server and databases
    SALES_VAULT_ACCOUNT_DIR: the pod's access to Kubernetes' API

    Exit codes: 0 done; 75 something around it failed, run again; 78 a human must act.
    """,
)
PlanFile = Annotated[Path, typer.Option("--plan", help="The YAML file that says what is wanted.")]


@app.command()
def setup(plan: PlanFile) -> None:
    """Initialise and unseal Vault if need be, then bring it to the plan.

    May be killed anywhere and run again. What the plan does not name is left alone; secrets are
    made where there are none, and never changed.
    """
    done = set_up(read_settings(), read_plan(plan))
    typer.echo(f"{done} steps done" if done else "nothing to change")


@app.command()
def check(plan: PlanFile) -> None:
    """Tell what differs from the plan, without changing anything; 0 if nothing does."""
    found = differences(read_settings(), read_plan(plan))
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(ConfigurationError.exit_code)
    typer.echo("nothing differs")


def run_app() -> int:
    """Run the command line; tells the exit code. Errors end as one line, crashes without data."""
    logs.start()
    try:
        app()
    except SetupError as error:
        typer.echo(f"sales-vault: {error}", err=True)
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except Exception:
        logging.getLogger(__name__).critical("crashed", exc_info=True)
        return CRASHED
    return 0


def main() -> None:
    """Run the command line; the exit code tells what kind of error there was."""
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(run_app())


def _leave(number: int, _: FrameType | None) -> None:
    """End at once: to be killed is safe at every point, and a drained node should not wait.

    Without this the first process of a container does not hear the signal at all.
    """
    os._exit(128 + number)


if __name__ == "__main__":
    main()
