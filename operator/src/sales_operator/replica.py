"""One replica: it hears events, stands by or leads, and ends when it is told to or cannot go on."""

import asyncio
import logging
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sales_operator import metrics
from sales_operator.bucket import Store
from sales_operator.cluster import Cluster
from sales_operator.leading import Leading
from sales_operator.lease import Lease
from sales_operator.receiver import serving
from sales_operator.refusals import Streak
from sales_operator.settings import Settings
from sales_operator.waker import Waker

log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another replica may lead by now: this one must end, and begin anew as a stand-by."""


class Replica:
    """One process of the operator."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        identity = f"{os.environ.get('POD_NAME', 'local')}_{uuid.uuid4().hex[:8]}"
        self._settings = settings
        self._lease = Lease(cluster, settings.namespace, identity, settings.leadership)
        self._waker = Waker(cluster, settings)
        self._threads = ThreadPoolExecutor(settings.workers + 2, "store")
        store = Store(settings.object_store, connections=settings.workers + 2)
        self._leading = Leading(settings, cluster.guarded(self._lease.is_held), store)
        self._refusals = Streak()
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        """Work until a signal says stop.

        Raises:
            LeaseLostError: This replica led and has lost the Lease.
        """
        self._listen_to_signals()
        # The object store is asked in threads; by default there are too few for all workers.
        asyncio.get_running_loop().set_default_executor(self._threads)
        async with serving(
            self._settings.receiver,
            self._heard,
            self._refused,
            self._health,
            self._readiness,
            metrics.REGISTRY,
        ):
            waking = asyncio.create_task(self._waker.work(), name="waker")
            acting = asyncio.create_task(self._act(), name="leader")
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            tasks = {waking, acting, stopping}
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks - done:
                task.cancel()
            await asyncio.gather(*(tasks - done), return_exceptions=True)
            await self._lease.release()
            metrics.IS_LEADER.set(0)
            for task in done:
                task.result()

    async def _act(self) -> None:
        """Stand by, then lead for as long as the Lease is held."""
        await self._lease.acquire()
        metrics.IS_LEADER.set(1)
        leading = asyncio.create_task(self._leading.lead(), name="leading")
        keeping = asyncio.create_task(self._lease.keep(), name="lease")
        both = {leading, keeping}
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        if keeping in done:
            raise LeaseLostError
        await leading

    def _listen_to_signals(self) -> None:
        # kopf puts its own in place while it runs, to the same effect: it returns, and so do we.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _heard(self, bucket: str, key: str) -> None:
        self._refusals.ends()
        self._who_acts().heard(bucket, key)

    def _refused(self, bucket: str, key: str) -> None:
        if span := self._refusals.goes_on(datetime.now(UTC)):
            self._who_acts().refused(bucket, key, span)

    def _who_acts(self) -> Leading | Waker:
        return self._leading if self._lease.is_held() else self._waker

    def _health(self) -> str:
        return self._leading.health()

    def _readiness(self) -> str:
        """Ready is who can hear events, leader or not: a rollout must not wait for leadership."""
        return ""
