"""Keeps each bucket's notification rules at what the ingests of that bucket want."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from sales_operator.bucket import Store, StoreError
from sales_operator.observed import Problem
from sales_operator.settings import ObjectStore

_AGAIN_SECONDS: Final = 30
"""How soon a bucket that refused is asked again."""


class Subscriber:
    """What was asked of each bucket, and what it said.

    Args:
        store: The door.
        instance: Tells our rules from those of other installations.
        where: Which targets lead to the receiver.
    """

    def __init__(self, store: Store, instance: str, where: ObjectStore) -> None:
        self._store = store
        self._instance = instance
        self._where = where
        self._asked: dict[str, frozenset[str]] = {}
        self._problems: dict[str, tuple[Problem, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def doubt(self) -> None:
        """Look at every bucket again when it is next asked about: rules may have been changed."""
        self._asked.clear()
        self._problems.clear()

    async def ensure(self, bucket: str, prefixes: Iterable[str]) -> Problem | None:
        """Have the bucket tell of new objects under exactly these prefixes.

        Returns:
            Why it does not.
        """
        wanted = frozenset(prefixes)
        async with self._locks.setdefault(bucket, asyncio.Lock()):
            if self._asked.get(bucket) == wanted:
                problem, until = self._problems.get(bucket, (None, 0.0))
                if problem is None or time.monotonic() < until:
                    return problem
            problem = await self._ask(bucket, wanted)
            self._asked[bucket] = wanted
            self._problems.pop(bucket, None)
            if problem:
                self._problems[bucket] = (problem, time.monotonic() + _AGAIN_SECONDS)
            return problem

    async def _ask(self, bucket: str, prefixes: frozenset[str]) -> Problem | None:
        if quick := self._where.quick_target:
            # Only to hear of it sooner: where there is no such target, all works as well.
            await self._ask_for(bucket, prefixes, f"{self._instance}-quick", quick)
        return await self._ask_for(bucket, prefixes, self._instance, self._where.target)

    async def _ask_for(
        self, bucket: str, prefixes: frozenset[str], instance: str, target: str
    ) -> Problem | None:
        try:
            await asyncio.to_thread(self._store.subscribe, bucket, prefixes, instance, target)
        except StoreError as error:
            return error.problem
        return None
