"""What a replica that stands by does with an event: it leaves word for the one that leads.

An annotation on the ingest, which the leader's watch tells of. The event of a quiet ingest goes on
at once; the longer events keep coming, the longer they are gathered: each word is a request.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from sales_operator.cluster import Cluster, ClusterError
from sales_operator.observed import IngestKey
from sales_operator.routes import Routes
from sales_operator.settings import Settings

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
_ROUTES_SECONDS: Final = 10.0
_FIRST_HOLD_SECONDS: Final = 2.0
_LONGEST_HOLD_SECONDS: Final = 10.0


class Holds:
    """Lets an ingest through at once, and in a flood of events ever more seldom."""

    def __init__(self) -> None:
        self._until: dict[IngestKey, tuple[float, float]] = {}
        self._held: set[IngestKey] = set()

    def may_pass(self, key: IngestKey, now: float) -> bool:
        """Whether word may be left now; if not, it is to be asked again later.

        Args:
            key: For whom.
            now: Seconds of a clock that only goes on.
        """
        until, seconds = self._until.get(key, (float("-inf"), 0.0))
        if now < until:
            self._held.add(key)
            return False
        # Who was held in between is in a flood, unless it has been quiet for as long since.
        is_flood = key in self._held and now <= until + seconds
        longer = min(2 * seconds, _LONGEST_HOLD_SECONDS) if is_flood else _FIRST_HOLD_SECONDS
        self._held.discard(key)
        self._until[key] = (now + longer, longer)
        return True


class Waker:
    """Gathers what was heard, and passes it on.

    Args:
        cluster: A door without a guard: to leave word, nobody has to lead.
        settings: Which namespaces count.
    """

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._namespaces = settings.watch_namespaces
        self._heard: set[tuple[str, str]] = set()
        self._waiting: set[IngestKey] = set()
        self._holds = Holds()
        self._news = asyncio.Event()
        self._routes = Routes([])
        self._routes_until = float("-inf")

    def heard(self, bucket: str, key: str) -> None:
        """The object store tells of a new object."""
        # Of a key, only where it lies counts: so a burst of files is one entry.
        self._heard.add((bucket, key[: key.rfind("/") + 1]))
        self._news.set()

    async def work(self) -> None:
        """Pass on what is heard, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            heard, self._heard = self._heard, set()
            try:
                self._waiting |= await self._ingests(heard)
                for key in [k for k in self._waiting if self._holds.may_pass(k, time.monotonic())]:
                    self._waiting.discard(key)
                    await self._wake(key)
            except ClusterError as error:
                # An event is a hint: the resync finds what it was about.
                log.warning("the leader is not woken", extra={"why": str(error)})
            await asyncio.sleep(_PAUSE_SECONDS)
            if self._waiting:
                self._news.set()

    async def _wake(self, key: IngestKey) -> None:
        try:
            await self._cluster.wake(key, datetime.now(UTC).isoformat())
        except ClusterError as error:
            # Gone since it was listed. The others must be told all the same.
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def _ingests(self, heard: set[tuple[str, str]]) -> set[IngestKey]:
        if time.monotonic() > self._routes_until:
            self._routes = Routes(await self._cluster.ingests(self._namespaces))
            self._routes_until = time.monotonic() + _ROUTES_SECONDS
        return {ingest for place in heard for ingest in self._routes.to(*place)}
