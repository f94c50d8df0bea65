"""All objects of a run, one after the other: a bad one does not stop its neighbours.

A temporary failure is tried again here a few times, with a new connection; what still fails stays
where it is, for the next run.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sales_api.report import Fate
from sales_api.request import ObjectRef, RunRequest
from sales_api.v1alpha1 import Source
from sales_pipeline.bucket import Bucket, ObjectGoneError
from sales_pipeline.credentials import Credentials, open_credentials
from sales_pipeline.errors import TemporaryError
from sales_pipeline.run import Doors, ObjectRun, Result, Work
from sales_pipeline.settings import Settings
from sales_pipeline.warehouse import Warehouse

log = logging.getLogger(__name__)

TRIES = 4
_FIRST_PAUSE_SECONDS = 0.5


@dataclass
class Connections:
    """Opens what a run talks to, and opens it anew after a failure."""

    settings: Settings
    bucket_name: str
    credentials: Credentials
    _warehouse: Warehouse | None = field(default=None, init=False)
    _bucket: Bucket | None = field(default=None, init=False)

    def doors(self) -> Doors:
        """The outside systems, connected."""
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self.settings, self.credentials.database)
        if self._bucket is None:
            login = self.credentials.object_store
            self._bucket = Bucket.connect(self.settings, login, self.bucket_name)
        return Doors(self._bucket, self._warehouse, self.credentials)

    def close(self) -> None:
        """Let go of them; the next use connects anew."""
        if self._warehouse is not None:
            self._warehouse.close()
            self._warehouse = None


@contextmanager
def connections(settings: Settings, bucket_name: str) -> Iterator[Connections]:
    """The connections of a run, with the credentials as they are now, which end with it."""
    with open_credentials(settings) as credentials:
        opened = Connections(settings, bucket_name, credentials)
        try:
            yield opened
        finally:
            opened.close()


def ignore(_: int) -> None:
    """Progress that nobody watches."""


def process_all(
    works: Iterable[Work],
    request: RunRequest,
    opened: Connections,
    on_bytes: Callable[[int], None] = ignore,
) -> Iterator[Result]:
    """Bring each object to its final place; tells of each as it ends.

    Raises:
        ConfigurationError: Nothing can be done as the settings are; later objects are untouched.
    """
    for work in works:
        started = time.monotonic()
        result = _try_hard(work, request, opened, on_bytes)
        result = replace(result, seconds=time.monotonic() - started)
        log.log(
            logging.WARNING if result.error else logging.INFO,
            "object ended",
            extra={"key": result.key, "fate": result.fate.value, **result.rows.model_dump(),
                   "code": result.error.code if result.error else None,
                   "seconds": round(result.seconds, 3)},
        )  # fmt: skip
        yield result


def _try_hard(
    work: Work, request: RunRequest, opened: Connections, on_bytes: Callable[[int], None]
) -> Result:
    pause = _FIRST_PAUSE_SECONDS
    for left in reversed(range(TRIES)):
        try:
            return _process(work, request, opened, on_bytes)
        except TemporaryError as error:
            opened.close()
            if left == 0:
                return Result(work.ref.key, Fate.FAILED, error=error)
            log.warning("trying again", extra={"key": work.ref.key, "code": error.code})
        # Drawn at random, so that runs that failed together do not come back together.
        time.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311
        pause *= 3
    raise AssertionError("the loop always returns")


def _process(
    work: Work, request: RunRequest, opened: Connections, on_bytes: Callable[[int], None]
) -> Result:
    doors = opened.doors()
    try:
        current = work if work.again else _as_it_is_now(work, doors.bucket)
        return ObjectRun(current, request, opened.settings, doors, on_bytes).process()
    except ObjectGoneError:
        return Result(work.ref.key, Fate.GONE)


def _as_it_is_now(work: Work, bucket: Bucket) -> Work:
    ref = bucket.current(work.ref)
    return Work(ref, ref)


def first_readings(refs: Iterable[ObjectRef]) -> Iterator[Work]:
    """The work that listed objects are."""
    return (Work(ref, ref) for ref in refs)


def sweep(bucket: Bucket, source: Source) -> list[ObjectRef]:
    """The objects that wait under the prefix, oldest first."""
    found = [ref for ref in bucket.list(source.prefix) if source.wants(ref.key)]
    return sorted(found, key=lambda ref: (ref.modified_at, ref.key))
