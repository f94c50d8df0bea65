"""What the replica that leads does: list everything, then watch, look, and list again."""

import asyncio
import logging
import random
from typing import Any, Final, cast

import kopf

from sales_operator import handlers, metrics
from sales_operator.bucket import Store
from sales_operator.cluster import Cluster, ClusterError
from sales_operator.controller import Controller, Doors
from sales_operator.cron import CronJobs
from sales_operator.observed import IngestKey
from sales_operator.queue import Queue
from sales_operator.refusals import Span, Standing
from sales_operator.seen import WATCH_LIMIT_SECONDS, Seen
from sales_operator.settings import Settings
from sales_operator.subscriber import Subscriber
from sales_operator.watching import Watching

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 2
_FAILED_SECONDS: Final = 15
"""How soon a resync that failed is tried again."""


class Leading:
    """The leader's work.

    Args:
        settings: The surroundings.
        cluster: A door that changes something only while this replica leads.
        store: The object store.
    """

    def __init__(self, settings: Settings, cluster: Cluster, store: Store) -> None:
        self._settings = settings
        self._cluster = cluster
        self._subscriber = Subscriber(store, settings.instance, settings.object_store)
        self._cron_jobs = CronJobs(cluster, settings.pipeline)
        self._seen = Seen()
        self._queue: Queue[IngestKey] = Queue()
        doors = Doors(cluster, store, self._subscriber, self._cron_jobs)
        refusals = Standing()
        self._controller = Controller(settings, doors, self._seen, self._queue, refusals)
        slot_is_free = self._controller.slot_is_free
        self._watching = Watching(self._seen, self._queue, slot_is_free, refusals)

    def heard(self, bucket: str, key: str) -> None:
        """The object store tells of a new object."""
        self._watching.heard(bucket, key)

    def refused(self, bucket: str, key: str, span: Span) -> None:
        """Events are refused for their token; the last was to tell of this object."""
        self._watching.refused(bucket, key, span)

    async def lead(self) -> None:
        """Work until kopf is told to stop.

        Raises:
            Exception: Whatever ended one of the tasks; none of them may go missing in silence.
        """
        await self._list_until_it_works()
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._resync(), name="resync")]
            others += [
                tasks.create_task(self._controller.work(), name=f"worker {number}")
                for number in range(self._settings.workers)
            ]
            await self._watch()
            for task in others:
                task.cancel()

    async def _watch(self) -> None:
        await kopf.operator(
            registry=handlers.registry(self._watching),
            settings=handlers.configuration(self._settings),
            # Otherwise it asks for the name of the user, and a pod's has none.
            identity=cast("Any", "unused"),
            namespaces=self._settings.watch_namespaces,
            clusterwide=not self._settings.watch_namespaces,
        )

    async def _list_until_it_works(self) -> None:
        while True:
            try:
                await self._list()
            except ClusterError as error:
                log.warning("nothing can be listed yet", extra={"why": str(error)})
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def _list(self) -> None:
        """See everything, whatever the watches have told; then look at all of it."""
        places = self._settings.watch_namespaces
        began = self._seen.begin_listing()
        ingests = await self._cluster.ingests(places)
        jobs = await self._cluster.jobs(places)
        pods = await self._cluster.pods_of_runs(places)
        cron_jobs = await self._cluster.cron_jobs(places)
        # Taken in only when all of it is here: what is seen is news once, and must be looked at.
        self._seen.replace(ingests, jobs, began)
        self._controller.remember_pods(jobs, pods)
        self._cron_jobs.compare(cron_jobs)
        self._subscriber.doubt()
        self._watching.listed()

    async def _resync(self) -> None:
        pause = self._settings.resync_seconds
        while True:
            # Not all replicas of all installations at the same second.
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311
            try:
                await self._list()
                pause = self._settings.resync_seconds
            except ClusterError as error:
                log.warning("resync failed", extra={"why": str(error)})
                pause = min(self._settings.resync_seconds, _FAILED_SECONDS)

    def health(self) -> str:
        """Empty while every watch tells what listings tell; else what is wrong."""
        silent = []
        for kind, seconds in self._seen.silence().items():
            metrics.WATCH_AGE.labels(kind).set(seconds)
            if seconds > WATCH_LIMIT_SECONDS:
                silent.append(f"the watch of {kind} has been silent for {seconds:.0f} s")
        return "; ".join(silent)
