"""Logs for machines: one JSON document a line on standard error, no text of foreign exceptions.

A driver's words may quote a secret or a value, so of an exception only its type and the places in
the code are written.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "settings"}
_TELLTALE = ("botocore", "urllib3")
"""They would write down requests with their signatures."""
_LOUD = ("kopf", "aiohttp", "asyncio", *_TELLTALE)
_MAX_TEXT = 2000


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, logger, event, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        extra = {k: v for k, v in vars(record).items() if k not in _PLAIN and v is not None}
        document = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:_MAX_TEXT],
            **{k: v for k, v in extra.items() if not k.startswith("k8s_")},
        }
        if record.exc_info and record.exc_info[1]:
            document["error"] = _told(record.exc_info[1])
        return json.dumps(document, default=str, ensure_ascii=False)


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return " | ".join(map(_told, error.exceptions))
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames]
    return " < ".join([type(error).__name__, *reversed(places)])


def start(level: str = "info") -> None:
    """Begin to log.

    Args:
        level: debug, info or warning. Of the libraries, warnings only unless it is debug; of those
            that talk to the object store, never more.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _LOUD if level != "debug" else _TELLTALE:
        logging.getLogger(name).setLevel(logging.WARNING)
