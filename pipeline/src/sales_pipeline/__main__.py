"""The program `sales-pipeline`."""

import sys

from sales_pipeline.cli import run_app


def main() -> None:
    """Run the command line; the exit code tells what kind of error there was."""
    sys.exit(run_app())


if __name__ == "__main__":
    main()
