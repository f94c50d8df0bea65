"""Files that go on arriving while something else happens, and the count of their rows after it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.ingests import Ingest, holds, large_file, sales_of, until
from tests.e2e.installation import Installation
from tests.e2e.kube import KubeError
from tests.support.sales_file import as_csv

PATIENT = {"backoffSeconds": 1, "maxAttempts": 20}
"""What is away for a minute parks nothing."""
LARGE, SMALL = 100_000, 10
"""Rows of a file; a large one keeps a run at work for some seconds."""
_EVERY_SECONDS = 2
_LARGE_EACH = 4
_SECONDS = 240
_SEEDS = count(400)
_WELL = {
    "Ready": "True",
    "SourceReachable": "True",
    "EventsReady": "True",
    "LastRunSucceeded": "True",
    "Stalled": "False",
}


@contextmanager
def files_arriving(installation: Installation, name: str) -> Iterator[Ingest]:
    """A large file is being loaded when the block begins, and others come until it ends.

    Then all of them are loaded, each row once, and nothing waits for a human.
    """
    ingest = Ingest.make(installation, name, retry=PATIENT)
    rows = {"0.csv": LARGE}
    ingest.put({"0.csv": large_file(next(_SEEDS), LARGE)})
    ingest.until_reading()
    is_over = threading.Event()
    with ThreadPoolExecutor() as beside:
        supplier = beside.submit(_deliver, ingest, is_over)
        try:
            yield ingest
        finally:
            is_over.set()
        rows |= supplier.result()
    have_been_loaded(ingest, rows)


def _deliver(ingest: Ingest, is_over: threading.Event) -> dict[str, int]:
    """Deliver files until it is over: the rows of each by its name."""
    rows: dict[str, int] = {}
    for number in count(1):
        name, size = f"{number}.csv", SMALL if number % _LARGE_EACH else LARGE
        put = partial(_put, ingest, name, _file(ingest, number, size))
        until(put, _SECONDS)
        rows[name] = size
        if is_over.wait(_EVERY_SECONDS):
            break
    return rows


def _file(ingest: Ingest, number: int, rows: int) -> bytes:
    if rows == LARGE:
        return large_file(next(_SEEDS), rows)
    return as_csv(sales_of(ingest.name, range(number * SMALL, (number + 1) * SMALL)))


def _put(ingest: Ingest, name: str, body: bytes) -> bool:
    """As a supplier does: again, where the object store was away."""
    try:
        ingest.put({name: body})
    except (KubeError, BotoCoreError, ClientError):
        return False
    return True


def have_been_loaded(ingest: Ingest, rows: dict[str, int]) -> None:
    """Wait until no file waits; each was loaded, once, and all is well again.

    Not by the sums of the status: a run that tries again tells of what it had loaded before as
    loaded already.
    """
    until(partial(_is_settled, ingest), _SECONDS)
    ingest.until(lambda status: all(holds(status, *pair) for pair in _WELL.items()))
    assert "ObjectsParked" not in ingest.happenings()
    found = [(one["key"], one["status"], one["rows_loaded"]) for one in ingest.ledger()]
    assert sorted(found) == sorted(
        (ingest.prefix + name, "loaded", size) for name, size in rows.items()
    )
    assert ingest.facts() == sum(rows.values())


def _is_settled(ingest: Ingest) -> bool:
    ingest.until(lambda status: holds(status, "Reconciling", "False"), _SECONDS)
    return not ingest.keys("raw")
