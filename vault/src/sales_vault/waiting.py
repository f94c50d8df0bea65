"""Waiting for a condition, with an end."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Ask until the answer is yes; tells whether it was within this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)  # neither server tells by itself, so it must be asked
    return True
