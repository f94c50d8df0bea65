"""The spine: an ingest is observed, a plan is made, the plan is carried out, the status is written.

Every trigger ends here and brings nothing but a key: what is done depends on what is so, never on
what happened. So a look too many changes nothing, and a look that failed is done again.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from sales_api.ingest import SpecError, parse_status
from sales_api.request import RequestError
from sales_operator import jobs, metrics, posting, runs, tally
from sales_operator.bucket import Store, StoreError
from sales_operator.cluster import Cluster, ClusterError
from sales_operator.conditions import Type, find
from sales_operator.cron import CronJobs
from sales_operator.documents import Manifest, place_of, uid_of
from sales_operator.notices import notices
from sales_operator.observed import (
    Ingest,
    IngestKey,
    Launch,
    Notice,
    Observed,
    Plan,
    Problem,
    Run,
)
from sales_operator.plan import plan
from sales_operator.queue import Queue
from sales_operator.reading import is_ending, read_ingest
from sales_operator.refusals import Standing
from sales_operator.seen import Seen
from sales_operator.settings import Settings
from sales_operator.slots import Slots
from sales_operator.status import patch_of, refused, status
from sales_operator.subscriber import Subscriber

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_TROUBLE_SECONDS: Final = 20
"""How soon it is looked at whether the pods of a run get going."""


@dataclass(frozen=True)
class Doors:
    """What the controller acts on."""

    cluster: Cluster
    store: Store
    subscriber: Subscriber
    cron_jobs: CronJobs


class Controller:
    """Looks at one ingest at a time; many can be looked at side by side."""

    def __init__(
        self,
        settings: Settings,
        doors: Doors,
        seen: Seen,
        queue: Queue[IngestKey],
        refusals: Standing,
    ) -> None:
        self._settings = settings
        self._cluster = doors.cluster
        self._store = doors.store
        self._subscriber = doors.subscriber
        self._cron_jobs = doors.cron_jobs
        self._seen = seen
        self._queue = queue
        self._refused_events = refusals
        self._slots = Slots(settings.max_live_jobs)
        self._pods: dict[str, Sequence[Manifest]] = {}
        self._failures: dict[IngestKey, int] = {}
        self._refusals: dict[IngestKey, Problem] = {}
        self._tally = tally.Tally()

    async def work(self) -> None:
        """Look at what the queue gives, for ever."""
        while True:
            async with self._queue.take() as key:
                metrics.QUEUE_LENGTH.set(len(self._queue))
                with metrics.RECONCILE_SECONDS.time():
                    await self._look_safely(key)

    async def _look_safely(self, key: IngestKey) -> None:
        try:
            await self.look(key)
        except ClusterError as error:
            # Somebody else has written meanwhile: what they wrote is on its way here.
            is_race = error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}
            if not is_race:
                log.warning("look failed", extra={"ingest": str(key), "why": str(error)})
            self._again(key, "conflict" if is_race else "error")
        except Exception:
            # Whatever it is, it must not stop the looks at the others.
            log.exception("look failed", extra={"ingest": str(key)})
            self._again(key, "error")
        else:
            self._failures.pop(key, None)
            metrics.RECONCILES.labels(result="success").inc()

    def _again(self, key: IngestKey, result: str) -> None:
        metrics.RECONCILES.labels(result=result).inc()
        times = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (times - 1), _LONGEST_PAUSE_SECONDS)
        self._queue.add_at(key, asyncio.get_running_loop().time() + pause)

    # --- one look

    async def look(self, key: IngestKey) -> None:
        """Bring an ingest a step further, and tell of it in its status.

        Raises:
            ClusterError: The API server did not play its part; to be tried again.
        """
        document = self._seen.ingest(key)
        if document is None or is_ending(document):
            await self._forget(key)
            return
        try:
            ingest = read_ingest(document)
        except SpecError as error:
            await self._refuse(key, document, str(error))
            return
        seen = await self._observe(ingest)
        seen, decided = await self._carry_out(seen)
        await self._write(document, seen, decided)
        await self._clean(ingest, decided)
        self._look_again(seen, decided)
        self._tally.note(seen, decided)

    async def _observe(self, ingest: Ingest) -> Observed:
        # Jobs before objects: an object that a run has just moved away is then not listed, while
        # the other way round it would look as if nobody had it.
        found = await self._runs(ingest)
        source = None
        try:
            objects = await asyncio.to_thread(self._store.list, ingest.spec.source)
        except StoreError as error:
            objects, source = [], error.problem
        events = None
        if source is None:
            # Also for an ingest that wants none: it may have wanted some before.
            events = await self._subscribe(ingest.spec.source.bucket)
        told = find(ingest.status, Type.EVENTS_READY)
        events = events or source or self._refused_events.problem(told.reason if told else "")
        return Observed(
            ingest=ingest,
            now=datetime.now(UTC),
            runs=found,
            objects=tuple(objects),
            source=source,
            events=events if ingest.spec.trigger.events else None,
            schedule=await self._cron_jobs.ensure(ingest),
        )

    async def _runs(self, ingest: Ingest) -> tuple[Run, ...]:
        found = []
        for job in self._seen.jobs_of(ingest.uid):
            uid = uid_of(job)
            if uid not in self._pods and runs.needs_pods(job, datetime.now(UTC)):
                pods = await self._cluster.pods_of(
                    job["metadata"]["namespace"], job["metadata"]["name"]
                )
                run = runs.run_of(job, pods)
                if run.outcome:
                    self._pods[uid] = pods  # They tell the same from now on.
            else:
                run = runs.run_of(job, self._pods.get(uid, ()))
            found.append(run)
        return tuple(found)

    def remember_pods(self, jobs_listed: Sequence[Manifest], pods: Sequence[Manifest]) -> None:
        """Take in the pods of finished runs, so that each need not be asked about by itself.

        Args:
            jobs_listed: All Jobs, listed before the pods: what had ended then tells no more.
            pods: Those of all runs.
        """
        there = {uid_of(job) for job in self._seen.jobs()}
        ended = {uid_of(job) for job in jobs_listed if not runs.is_live(job)} & there
        listed: dict[str, list[Manifest]] = {}
        for pod in pods:
            owners = pod["metadata"].get("ownerReferences", [])
            for uid in {owner["uid"] for owner in owners} & ended:
                listed.setdefault(uid, []).append(pod)
        kept = {uid: known for uid, known in self._pods.items() if uid in there}
        self._pods = {**listed, **kept}

    async def _subscribe(self, bucket: str) -> Problem | None:
        return await self._subscriber.ensure(bucket, self._prefixes(bucket))

    def _prefixes(self, bucket: str) -> set[str]:
        """What all ingests together want to be told of in a bucket."""
        found = set()
        for document in self._seen.ingests():
            place, prefix = place_of(document)
            if place == bucket and document.get("spec", {}).get("trigger", {}).get("events", True):
                found.add(prefix)
        return found

    # --- acting

    async def _carry_out(self, seen: Observed) -> tuple[Observed, Plan]:
        """Launch what can be launched; what is so then, and what is left to do."""
        key, live = seen.ingest.key, self._seen.live_jobs()
        metrics.JOBS_ACTIVE.set(live)
        with self._slots.lend(live) as slots:
            decided = plan(replace(seen, free_slots=slots.free))
            slots.take(len(decided.launches))
            if not decided.launches:
                self._slots.wants(key, is_hungry=slots.free == 0 and decided.pending > 0)
                # As it was, until a launch works or nothing wants one.
                refusal = self._refusals.get(key) if decided.pending else None
                return replace(seen, launching=refusal), decided
            problem = await self._launch(seen.ingest, decided.launches)
        self._refusals.pop(key, None)
        if problem:
            self._refusals[key] = problem
            self.slot_is_free()
        after = replace(seen, runs=await self._runs(seen.ingest), launching=problem, free_slots=0)
        left = plan(after)
        self._slots.wants(key, is_hungry=left.pending > 0)
        return after, left

    async def _launch(self, ingest: Ingest, launches: Sequence[Launch]) -> Problem | None:
        for launch in launches:
            try:
                manifest = jobs.job(ingest, launch, self._settings.pipeline)
                made = await self._cluster.create_job(manifest)
            except RequestError as error:
                why = f"{error}: shorten contract and format, the objects' keys come on top."
                return Problem("RequestTooLarge", why, is_lasting=True)
            except ClusterError as error:
                if not error.is_lasting:
                    self.slot_is_free()
                    raise
                why = f"{error}. Check the quota and the policies of the namespace."
                return Problem("JobRefused", why)
            self._seen.put("jobs", made)
            tally.launched(launch, datetime.now(UTC))
            log.info(
                "run launched",
                extra={"ingest": str(ingest.key), "run": manifest["metadata"]["name"],
                       "objects": len(launch.objects), "attempt": launch.attempt},
            )  # fmt: skip
        return None

    def slot_is_free(self) -> None:
        """Have whoever waits for a slot looked at."""
        for key in self._slots.hungry():
            self._queue.add(key)

    # --- telling

    async def _write(self, document: Manifest, seen: Observed, decided: Plan) -> None:
        ingest = seen.ingest
        after = status(seen, decided)
        patch = patch_of(document.get("status") or {}, after)
        if not patch:
            return
        written = await self._cluster.patch_status(ingest.key, ingest.resource_version, patch)
        self._seen.put("ingests", written)
        tally.count(ingest.status, after, seen)
        await self._post(ingest.key, ingest.uid, notices(ingest.status, after, seen))

    async def _post(self, key: IngestKey, uid: str, told: Sequence[Notice]) -> None:
        for notice in told:
            await self._cluster.post_event(posting.event(key, uid, notice, datetime.now(UTC)))

    async def _refuse(self, key: IngestKey, document: Manifest, why: str) -> None:
        before = parse_status(document.get("status") or {})
        generation = document["metadata"].get("generation", 1)
        after = refused(before, generation, why, datetime.now(UTC))
        if patch := patch_of(document.get("status") or {}, after):
            version = str(document["metadata"]["resourceVersion"])
            self._seen.put("ingests", await self._cluster.patch_status(key, version, patch))
            await self._post(key, uid_of(document), notices(before, after, None))

    async def _clean(self, ingest: Ingest, decided: Plan) -> None:
        for run in decided.deletions:
            await self._cluster.delete_job(ingest.key.namespace, run.name, run.uid)
            self._pods.pop(run.uid, None)

    async def _forget(self, key: IngestKey) -> None:
        """An ingest is gone. Its Jobs go by themselves; its rules in the bucket do not."""
        self._queue.forget(key)
        self._failures.pop(key, None)
        self._refusals.pop(key, None)
        self._slots.wants(key, is_hungry=False)
        if bucket := self._tally.forget(key):
            await self._subscribe(bucket)

    def _look_again(self, seen: Observed, decided: Plan) -> None:
        moments = [decided.look_again_at] if decided.look_again_at else []
        problems = (seen.source, seen.events, seen.schedule, seen.launching)
        if any(problem and not problem.is_lasting for problem in problems):
            moments.append(seen.now + timedelta(seconds=30))
        jobs_seen = self._seen.jobs_of(seen.ingest.uid)
        if any(runs.is_live(job) and not runs.is_going(job) for job in jobs_seen):
            moments.append(seen.now + timedelta(seconds=_TROUBLE_SECONDS))
        if moments:
            seconds = (min(moments) - datetime.now(UTC)).total_seconds()
            loop = asyncio.get_running_loop()
            self._queue.add_at(seen.ingest.key, loop.time() + max(seconds, 0))
