"""kopf, used for what it is good at: watching. Its handlers keep what they are told and ring.

Only event handlers: they leave no annotation, no finalizer and no progress on anybody's objects.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any, Final

import kopf

from sales_api import names
from sales_operator.cluster import OURS
from sales_operator.settings import Settings
from sales_operator.watching import Watching

_SERVER_SECONDS: Final = 300
_LONGEST_BACKOFF_SECONDS: Final = 30


def registry(watching: Watching) -> kopf.OperatorRegistry:
    """What kopf is to watch, and whom it tells."""
    made = kopf.OperatorRegistry()
    # A registry of one's own knows no way to log in. This one goes the way of `Cluster.connect`.
    kopf.on.login(registry=made)(kopf.login_via_async_client)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=made)
    async def ingest(event: kopf.RawEvent, **_: Any) -> None:
        watching.ingest_told(dict(event["object"]), is_gone=event["type"] == "DELETED")

    @kopf.on.event("batch", "v1", "jobs", registry=made)
    async def job(event: kopf.RawEvent, **_: Any) -> None:
        watching.job_told(dict(event["object"]), is_gone=event["type"] == "DELETED")

    return made


def configuration(settings: Settings) -> kopf.OperatorSettings:
    """What makes kopf watch and nothing else."""
    made = kopf.OperatorSettings()
    made.peering.standalone = True  # One Lease says who acts; kopf's own peering locks nothing.
    made.scanning.disabled = True  # The CRD is there before the operator, or it restarts.
    made.posting.enabled = False
    made.watching.server_timeout = _SERVER_SECONDS
    made.watching.client_timeout = _SERVER_SECONDS + 10
    made.watching.connect_timeout = 30
    made.watching.chunk_size = 500
    made.watching.label_selectors["batch", "v1", "jobs"] = OURS
    made.networking.request_timeout = 30
    made.networking.error_backoffs = Backoffs()
    made.process.ultimate_exiting_timeout = settings.leadership.renew_seconds
    return made


class Backoffs:
    """Pauses between tries to reach the API server: longer and longer, never an end."""

    def __iter__(self) -> Iterator[float]:
        for times in itertools.count():
            longest = min(2.0**times, _LONGEST_BACKOFF_SECONDS)
            # Drawn at random, so that replicas do not come back together.
            yield random.uniform(0.5, 1) * longest  # noqa: S311
