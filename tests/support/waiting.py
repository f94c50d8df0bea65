"""Waits for what nobody tells of, and so can only be asked again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class LateError(AssertionError):
    """What was waited for did not come about."""


def until(ask: Callable[[], T], seconds: float = 60, pause: float = 0.05) -> T:
    """The first answer that is true.

    Args:
        ask: Tells how it is now.
        seconds: How long to ask.
        pause: Seconds between an answer and the next question.

    Raises:
        LateError: There was none in time. The text has the last one.
    """
    end = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > end:
            raise LateError(f"not within {seconds} s: {answer!r}")
        time.sleep(pause)
    return answer
