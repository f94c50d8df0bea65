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
from typing import TypeVar

from sales_api.report import Fate
from sales_api.request import ObjectRef, RunRequest
from sales_api.v1alpha1 import Source
from sales_pipeline import credential_problems as problems
from sales_pipeline.bucket import Bucket, ObjectGoneError
from sales_pipeline.credentials import Credentials, open_credentials
from sales_pipeline.errors import ConfigurationError, TemporaryError
from sales_pipeline.run import Doors, ObjectRun, Result, Work
from sales_pipeline.settings import Settings
from sales_pipeline.warehouse import LoginRefusedError, Warehouse

log = logging.getLogger(__name__)
T = TypeVar("T")

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
    _was_let_in: bool = field(default=False, init=False)
    """By the database, with these credentials."""

    def doors(self) -> Doors:
        """The outside systems, connected.

        Raises:
            LoginEndedError: The login that Vault made for this run is good no more.
            ConfigurationError: Something is refused.
            TemporaryError: Something cannot be reached.
        """
        if self._warehouse is None:
            self._warehouse = self._connect()
        if self._bucket is None:
            login = self.credentials.object_store
            self._bucket = Bucket.connect(self.settings, login, self.bucket_name)
        return Doors(self._bucket, self._warehouse, self.credentials)

    def _connect(self) -> Warehouse:
        try:
            warehouse = Warehouse.connect(self.settings, self.credentials.database)
        except LoginRefusedError as refused:
            if self._may_have_ended:
                raise problems.LOGIN_ENDED.at(refused.where) from None
            raise
        self._was_let_in = True
        return warehouse

    @property
    def _may_have_ended(self) -> bool:
        """Whether a refusal can mean that the login has ended.

        One that Vault has just made is there: Vault waited for the commit, in the server that runs
        write to. If it is refused at its first use, Vault most likely makes logins elsewhere, or
        pg_hba.conf keeps them out, and a human should hear of it now, not after all attempts. One
        that somebody has revoked in the moment before is told as the same.
        """
        return self._was_let_in and self.credentials.database.is_leased

    def make_sure_of_login(self) -> None:
        """Connect anew after the database has refused something, if the login may have ended.

        A session outlives its role, but not its rights: a schema then seems to be missing. Only the
        next connection tells. Raises as `doors`.
        """
        if self._may_have_ended:
            self.close()
            self.doors()

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
        except ConfigurationError as error:
            if error.code.startswith("database."):
                opened.make_sure_of_login()
            raise
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
        LoginEndedError: The login that Vault made for this run is good no more; the same holds.
        ConfigurationError: Nothing can be done as the settings are; later objects are untouched.
    """
    for work in works:
        started = time.monotonic()
        result = _process(work, request, opened, on_bytes)
        result = replace(result, seconds=time.monotonic() - started)
        log.log(
            logging.WARNING if result.error else logging.INFO,
            "object ended",
            extra={"key": result.key, "fate": result.fate.value, **result.rows.model_dump(),
                   "code": result.error.code if result.error else None,
                   "seconds": round(result.seconds, 3)},
        )  # fmt: skip
        yield result
        if isinstance(result.error, ConfigurationError):
            raise result.error


def _process(
    work: Work, request: RunRequest, opened: Connections, on_bytes: Callable[[int], None]
) -> Result:
    """Load an object, then archive it.

    Each is tried again by itself: the ledger would tell a second loading that all is done already,
    and the rows that this run has committed would be missing from its report.
    """
    key = work.ref.key
    try:
        run, result = _try_hard(lambda: _load(work, request, opened, on_bytes), key, opened)
    except ObjectGoneError:
        return Result(key, Fate.GONE)
    except TemporaryError as error:
        return Result(key, Fate.FAILED, error=error)
    try:
        _try_hard(lambda: run.archive(result), key, opened)
    except (TemporaryError, ConfigurationError) as error:
        return Result(key, Fate.FAILED, result.rows, result.codes, error=error)
    return result


def _try_hard(call: Callable[[], T], key: str, opened: Connections) -> T:
    pause = _FIRST_PAUSE_SECONDS
    for left in reversed(range(TRIES)):
        try:
            return call()
        except TemporaryError as error:
            opened.close()
            if left == 0:
                raise
            log.warning("trying again", extra={"key": key, "code": error.code})
        # Drawn at random, so that runs that failed together do not come back together.
        time.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311
        pause *= 3
    raise AssertionError("the loop always returns")


def _load(
    work: Work, request: RunRequest, opened: Connections, on_bytes: Callable[[int], None]
) -> tuple[ObjectRun, Result]:
    doors = opened.doors()
    current = work if work.again else _as_it_is_now(work, doors.bucket)
    run = ObjectRun(current, request, opened.settings, doors, on_bytes)
    return run, run.load_once()


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
