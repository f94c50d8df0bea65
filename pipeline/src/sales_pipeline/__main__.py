"""The program `sales-pipeline`."""

import os
import signal
import sys
from types import FrameType

from sales_pipeline import vault
from sales_pipeline.cli import run_app


def main() -> None:
    """Run the command line; the exit code tells what kind of error there was."""
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(run_app())


def _leave(number: int, _: FrameType | None) -> None:
    """End at once: to be killed is safe at every point, and a drained node should not wait.

    Only a token of Vault is given back first, for with it ends the login to the database. Without
    this the first process of a container does not hear the signal at all.
    """
    try:
        vault.give_back()
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
