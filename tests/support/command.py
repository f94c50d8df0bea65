"""The command line, called within the test's own process: quicker than a process each."""

import io
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from sales_pipeline.cli import run_app


@dataclass(frozen=True)
class Ended:
    """What a command left behind for whoever called it."""

    code: int
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """The last line on standard error."""
        return self.err.splitlines()[-1] if self.err else ""


def command(*args: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `sales-pipeline ARGS` with this environment added, as a Job or a pipe would."""
    out, err = io.StringIO(), io.StringIO()
    loggers = [logging.getLogger(), logging.getLogger("sales_pipeline")]
    before = [(logger, logger.level, logger.handlers) for logger in loggers]
    with (
        mock.patch.dict(os.environ, environ or {}),
        mock.patch.object(sys, "argv", ["sales-pipeline", *args]),
        mock.patch.object(sys, "excepthook", sys.excepthook),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = run_app()
        finally:
            for logger, level, handlers in before:
                logger.setLevel(level)
                logger.handlers = handlers
    return Ended(code, out.getvalue(), err.getvalue())
