"""What a replica that stands by does with an event: it leaves word for the one that leads.

An annotation on the ingest, which the leader's watch tells of. The first event goes on at once;
what comes within a second of it is gathered: each word is a request.
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
                for key in await self._ingests(heard):
                    await self._wake(key)
            except ClusterError as error:
                # An event is a hint: the resync finds what it was about.
                log.warning("the leader is not woken", extra={"why": str(error)})
            await asyncio.sleep(_PAUSE_SECONDS)

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
