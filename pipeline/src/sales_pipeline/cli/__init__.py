"""The command line: each command reads its settings, calls one thing, and shows what came of it."""

import logging

from rich.markup import escape

from sales_api.report import ExitCode
from sales_pipeline import logs
from sales_pipeline.cli import files, runs, warehouse
from sales_pipeline.cli.base import app, err
from sales_pipeline.errors import PipelineError

__all__ = ["app", "files", "run_app", "runs", "warehouse"]

CRASHED = 1


def run_app() -> int:
    """Run the command line; tells the exit code. Errors end as one line, crashes without data."""
    logs.start(quiet=err.is_terminal)
    try:
        app()
    except PipelineError as error:
        err.print(f"sales-pipeline: {escape(str(error))}", soft_wrap=True, highlight=False)
        return int(error.exit_code)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(ExitCode.DONE)
    except Exception:
        logging.getLogger(__name__).critical("crashed", exc_info=True)
        return CRASHED
    return int(ExitCode.DONE)
