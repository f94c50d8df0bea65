"""Which replica acts: the one that holds a Lease.

A Lease is no fence: a replica that was frozen wakes up as if no time had passed. So `is_held` asks
the clock each time, and the door to the cluster asks `is_held` before each change. What slips
through in the instant between is harmless: Jobs are named by their work, and the pipeline's ledger
loads nothing twice.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from sales_operator.cluster import Cluster, ClusterError
from sales_operator.settings import Leadership

log = logging.getLogger(__name__)


class Lease:
    """One replica's claim.

    Args:
        cluster: A door without a guard.
        namespace: Where the Lease is.
        identity: Of this replica, unlike any other's.
        how: Its name and times.
    """

    def __init__(self, cluster: Cluster, namespace: str, identity: str, how: Leadership) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._how = how
        self._renewed = float("-inf")
        self._seen: Any = None
        self._seen_at = float("-inf")

    def is_held(self) -> bool:
        """Whether this replica may act now."""
        # CLOCK_MONOTONIC goes on while a process is frozen; the request that renewed was sent after
        # the moment that counts here, so the others see the Lease run out later than we do.
        return self._left() > 0

    def _left(self) -> float:
        return self._renewed + self._how.renew_seconds - time.monotonic()

    async def acquire(self) -> None:
        """Wait until this replica holds the Lease."""
        while not await self._try():  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(self._how.retry_seconds)
        log.info("this replica leads", extra={"identity": self._identity})

    async def keep(self) -> None:
        """Renew for as long as that works; returns when the Lease is lost."""
        while self.is_held():
            await asyncio.sleep(self._how.retry_seconds)
            if self.is_held():
                await self._try()
        log.error("this replica has lost the Lease", extra={"identity": self._identity})

    async def release(self) -> None:
        """Give the Lease up, so that another replica need not wait for it to run out."""
        if not self.is_held():
            return
        left, self._renewed = self._left(), float("-inf")
        try:
            async with asyncio.timeout(left):
                lease = await self._cluster.lease(self._namespace, self._how.lease)
                if lease and _holder(lease) == self._identity:
                    lease["spec"]["holderIdentity"] = ""
                    await self._cluster.put_lease(lease)
        except (ClusterError, TimeoutError) as error:
            log.warning("the Lease is not released", extra={"why": _why(error)})

    async def _try(self) -> bool:
        started = time.monotonic()
        # Whoever holds it must know by the deadline that it was not renewed, not a try later.
        limit = self._left() if self.is_held() else self._how.renew_seconds
        try:
            async with asyncio.timeout(limit):
                lease = await self._cluster.lease(self._namespace, self._how.lease)
                if lease and not self._is_free(lease):
                    self._renewed = float("-inf")  # Another one has it: no reason to wait.
                    return False
                await self._cluster.put_lease(self._claim(lease))
        except (ClusterError, TimeoutError) as error:
            log.warning("the Lease is not renewed", extra={"why": _why(error)})
            return False
        self._renewed = started
        return True

    def _is_free(self, lease: dict[str, Any]) -> bool:
        """Whether it is ours, nobody's, or has not been renewed for its duration, as we saw it.

        Measured from when a change was seen here, for clocks of different nodes may differ.
        """
        record = _record(lease)
        if record != self._seen:
            self._seen, self._seen_at = record, time.monotonic()
        waited = time.monotonic() - self._seen_at
        return _holder(lease) in {"", self._identity} or waited > record.get(
            "leaseDurationSeconds", self._how.duration_seconds
        )

    def _claim(self, lease: dict[str, Any] | None) -> dict[str, Any]:
        moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = _record(lease) if lease else {}
        is_ours = before.get("holderIdentity") == self._identity
        metadata = {"name": self._how.lease, "namespace": self._namespace}
        if lease:
            metadata["resourceVersion"] = lease["metadata"]["resourceVersion"]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._how.duration_seconds,
                "acquireTime": before.get("acquireTime", moment) if is_ours else moment,
                "renewTime": moment,
                "leaseTransitions": before.get("leaseTransitions", 0) + (not is_ours),
            },
        }


def _record(lease: dict[str, Any]) -> dict[str, Any]:
    return lease.get("spec") or {}


def _holder(lease: dict[str, Any]) -> str:
    return str(_record(lease).get("holderIdentity") or "")


def _why(error: Exception) -> str:
    return str(error) or "no answer in time"
