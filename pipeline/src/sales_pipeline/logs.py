"""Logs for machines: one JSON document a line, on standard error, without a word of the data.

The text of an exception may quote a cell or a secret, so only its type and the places in the code
are written, here and where an error ends the program.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, logger, event, and what was given as `extra`."""

    def __init__(self, **context: str) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        extra = {k: v for k, v in vars(record).items() if k not in _PLAIN and v is not None}
        document = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **self._context,
            **extra,
        }
        if record.exc_info and record.exc_info[0]:
            document["error"] = redacted(*record.exc_info)
        return json.dumps(document, default=str, ensure_ascii=False)


def redacted(
    kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> str:
    """An exception's type and places, without its text."""
    frames = traceback.extract_tb(trace)
    places = [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames]
    name = kind.__name__ if kind else type(error).__name__
    return " < ".join([name, *reversed(places)])


def start(*, quiet: bool, stream: TextIO | None = None, **context: str) -> None:
    """Begin to log.

    Args:
        quiet: Warnings only, for a person at a terminal who has a progress bar to look at.
        stream: Where to; standard error by default.
        context: What every line tells, such as the run.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(**context))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sales_pipeline").setLevel(logging.ERROR if quiet else logging.INFO)
    sys.excepthook = _last_words


def _last_words(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logging.getLogger(__name__).critical("crashed", exc_info=(kind, error, trace))
