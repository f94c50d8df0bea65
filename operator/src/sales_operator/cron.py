"""Keeps each ingest's CronJob at what its spec says: the daily run works without the operator."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from sales_api.request import RequestError
from sales_operator import jobs
from sales_operator.cluster import Cluster, ClusterError
from sales_operator.documents import Manifest, owner_of, uid_of
from sales_operator.observed import Ingest, Problem
from sales_operator.settings import PipelineJobs

Place = tuple[str, str]
"""Namespace and name of a CronJob."""


_ASK_INSTALLER: Final = "Check the operator's rights and the policies of the namespace"


@dataclass(frozen=True)
class _Applied:
    digest: str
    stamp: tuple[str, int]
    problem: Problem | None = None


class CronJobs:
    """What was applied, so that it need not be applied at every look.

    Args:
        cluster: The door.
        pipeline: What pods are made of.
    """

    def __init__(self, cluster: Cluster, pipeline: PipelineJobs) -> None:
        self._cluster = cluster
        self._pipeline = pipeline
        self._applied: dict[Place, _Applied] = {}
        self._there: set[Place] = set()

    def compare(self, listed: Iterable[Manifest]) -> None:
        """Hold what was applied against a listing: what differs is applied again when asked for."""
        stamps = {_place(found): _stamp(found) for found in listed}
        # What was applied while the listing was under way may be missing in it.
        self._there = stamps.keys() | self._applied.keys()
        kept = self._applied.items()
        self._applied = {p: a for p, a in kept if stamps.get(p) == a.stamp and not a.problem}

    async def ensure(self, ingest: Ingest) -> Problem | None:
        """Bring the CronJob of an ingest to its spec, or remove it.

        Returns:
            Why the spec's schedule cannot be kept.

        Raises:
            ClusterError: The API server could not be asked.
        """
        place = (ingest.key.namespace, jobs.cron_job_name(ingest))
        try:
            wanted = jobs.cron_job(ingest, self._pipeline)
        except RequestError as error:
            why = f"{error}: shorten contract and format."
            return Problem("RequestTooLarge", why, is_lasting=True)
        if wanted is None:
            await self._remove(place)
            return None
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
        done = self._applied.get(place)
        if done is None or done.digest != digest:
            is_ours = place in self._there or await self._is_free(place, ingest.uid)
            done = await self._apply(wanted, digest) if is_ours else _taken(digest, place)
            self._applied[place] = done
            self._there.add(place)
        return done.problem

    async def _apply(self, wanted: Manifest, digest: str) -> _Applied:
        try:
            applied = await self._cluster.apply_cron_job(dict(wanted))
        except ClusterError as error:
            if not error.is_lasting:
                raise
            # The only parts that a spec can get wrong; anything else is the installation's.
            is_spec = error.status == HTTPStatus.UNPROCESSABLE_ENTITY
            mend = "Correct trigger.schedule and trigger.timeZone" if is_spec else _ASK_INSTALLER
            why = f"{error}. {mend}."
            return _Applied(digest, ("", 0), Problem("ScheduleRefused", why, is_lasting=True))
        return _Applied(digest, _stamp(applied))

    async def _is_free(self, place: Place, uid: str) -> bool:
        """Whether nobody else has a CronJob of this name: applying would make it ours."""
        found = await self._cluster.cron_job(*place)
        return found is None or owner_of(found) == uid

    async def _remove(self, place: Place) -> None:
        if place in self._there:
            await self._cluster.delete_cron_job(*place)
            self._there.discard(place)
            self._applied.pop(place, None)


def _taken(digest: str, place: Place) -> _Applied:
    why = f"the CronJob {place[1]} is somebody else's. Rename it, or this ingest."
    return _Applied(digest, ("", 0), Problem("ScheduleNameTaken", why, is_lasting=True))


def _place(found: Manifest) -> Place:
    return found["metadata"]["namespace"], found["metadata"]["name"]


def _stamp(found: Manifest) -> tuple[str, int]:
    """What changes when somebody makes it anew or edits its spec."""
    return uid_of(found), int(found["metadata"].get("generation", 0))
