"""Ingests to be looked at: each at most once in the queue, and never by two workers at once.

A key that is added while a worker has it comes again when that worker is done, so that nothing
that happened after the worker looked goes unseen. However many events there are, what is in the
queue is bounded by the number of ingests.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Queue(Generic[Key]):
    """A queue without doubles, in one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}  # In the order in which they came.
        self._taken: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key) -> None:
        """Have a key looked at as soon as may be."""
        if key in self._taken:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._news.set()

    def add_at(self, key: Key, moment: float) -> None:
        """Have a key looked at, at the latest when the event loop's clock shows `moment`."""
        timer = self._timers.get(key)
        if timer and timer.when() <= moment:
            return
        self.forget(key)
        self._timers[key] = asyncio.get_running_loop().call_at(moment, self._ring, key)

    def _ring(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def forget(self, key: Key) -> None:
        """Drop what was to come later for a key."""
        if timer := self._timers.pop(key, None):
            timer.cancel()

    @contextlib.asynccontextmanager
    async def take(self) -> AsyncIterator[Key]:
        """Wait for a key and have it to oneself."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._taken.add(key)
        try:
            yield key
        finally:
            self._taken.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
