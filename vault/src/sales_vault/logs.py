"""Logs for machines: one JSON document a line, on standard error, without a word of a secret.

The text of an exception may quote a secret, so only its type and the places in the code are
written.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, event, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        document = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _PLAIN},
        }
        if record.exc_info and record.exc_info[1]:
            document["error"] = _told(record.exc_info[1])
        return json.dumps(document, default=str, ensure_ascii=False)


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames]
    return " < ".join([type(error).__name__, *reversed(places)])


def start() -> None:
    """Begin to log; of libraries, warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sales_vault").setLevel(logging.INFO)
