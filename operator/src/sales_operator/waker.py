"""What a replica that stands by does with an event: it leaves word for the one that leads.

An annotation on the ingest, which the leader's watch tells of. The first event goes on at once;
what comes within a second of it is gathered: each word is a request. Of refusals, which anybody can
cause, it leaves word once a minute.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from sales_operator.cluster import Cluster, ClusterError
from sales_operator.observed import IngestKey
from sales_operator.refusals import Span
from sales_operator.routes import Routes
from sales_operator.settings import Settings

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0
_ROUTES_SECONDS: Final = 10.0
_REFUSED_SECONDS: Final = 60.0


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
        self._refused: tuple[tuple[str, str], Span] | None = None
        self._refused_until = float("-inf")
        self._news = asyncio.Event()
        self._routes = Routes([])
        self._routes_until = float("-inf")

    def heard(self, bucket: str, key: str) -> None:
        """The object store tells of a new object."""
        self._heard.add(_place(bucket, key))
        self._news.set()

    def refused(self, bucket: str, key: str, span: Span) -> None:
        """Events are refused for their token; the last was to tell of this object."""
        if time.monotonic() >= self._refused_until:
            self._refused_until = time.monotonic() + _REFUSED_SECONDS
            self._refused = _place(bucket, key), span
            self._news.set()

    async def work(self) -> None:
        """Pass on what is heard, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._pass_on()
            except ClusterError as error:
                # An event is a hint: the resync finds what it was about.
                log.warning("the leader is not woken", extra={"why": str(error)})
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _pass_on(self) -> None:
        heard, self._heard = self._heard, set()
        refused, self._refused = self._refused, None
        if refused:
            place, span = refused
            for key in await self._ingests({place}):
                await self._leave(self._cluster.tell_of_refusals(key, str(span)))
        for key in await self._ingests(heard):
            await self._leave(self._cluster.wake(key, datetime.now(UTC).isoformat()))

    async def _leave(self, word: Awaitable[None]) -> None:
        try:
            await word
        except ClusterError as error:
            # Gone since it was listed. The others must be told all the same.
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def _ingests(self, heard: set[tuple[str, str]]) -> set[IngestKey]:
        if time.monotonic() > self._routes_until:
            self._routes = Routes(await self._cluster.ingests(self._namespaces))
            self._routes_until = time.monotonic() + _ROUTES_SECONDS
        return {ingest for place in heard for ingest in self._routes.to(*place)}


def _place(bucket: str, key: str) -> tuple[str, str]:
    """Of a key, only where it lies counts: so a burst of files is one entry."""
    return bucket, key[: key.rfind("/") + 1]
