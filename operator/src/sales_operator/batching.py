"""Gathers objects into batches: of one attempt each, oldest first, as large as the spec allows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import NamedTuple

from sales_api.request import MAX_REQUEST_BYTES, ObjectRef, RunRequest
from sales_operator.observed import Ingest


class Candidate(NamedTuple):
    """An object that may be launched now."""

    object: ObjectRef
    attempt: int
    max_files: int
    """How many objects its batch may hold."""


@dataclass(frozen=True)
class Batch:
    """Objects for one run."""

    objects: tuple[ObjectRef, ...]
    attempt: int
    is_full: bool
    """Waiting for more objects would not make it larger."""


@dataclass(frozen=True)
class Limits:
    """How large a batch may be, the number of its objects aside."""

    max_bytes: int
    """Of the objects as stored."""
    max_request_bytes: int
    """Of the objects as the request writes them."""


def age(item: ObjectRef) -> tuple[datetime, str]:
    """Sorts objects from the oldest on; no two of a listing are equal."""
    return item.modified_at, item.key


def batches(candidates: Iterable[Candidate], limits: Limits) -> Iterator[Batch]:
    """Every candidate in one batch, the batch with the oldest object first.

    Batches are cut as they are asked for: a backlog costs no more than the batches taken of it.

    Args:
        candidates: Oldest first.
        limits: What a batch keeps to, unless it holds a single object.
    """
    groups: dict[tuple[int, int], list[ObjectRef]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.attempt, candidate.max_files].append(candidate.object)
    cut = [_cut(group, *kind, limits) for kind, group in groups.items()]
    return merge(*cut, key=lambda batch: age(batch.objects[0]))


def _cut(
    objects: Iterable[ObjectRef], attempt: int, max_files: int, limits: Limits
) -> Iterator[Batch]:
    """Cut in order: no object is passed over for a younger one that would still fit."""
    load = _Load(max_files, limits)
    for item in objects:
        written = _written_bytes(item)
        if not load.has_room_for(item, written):
            yield load.to_batch(attempt, is_full=True)
            load = _Load(max_files, limits)
        load.add(item, written)
    yield load.to_batch(attempt, is_full=load.is_full)


class _Load:
    """A batch while it is gathered."""

    def __init__(self, max_files: int, limits: Limits) -> None:
        self._max_files, self._limits = max_files, limits
        self._objects: list[ObjectRef] = []
        self._bytes = self._request_bytes = 0

    def has_room_for(self, item: ObjectRef, written: int) -> bool:
        """An empty one has room for anything: what is too large for all batches goes alone."""
        return not self._objects or (
            len(self._objects) < self._max_files
            and self._bytes + item.size <= self._limits.max_bytes
            and self._request_bytes + written <= self._limits.max_request_bytes
        )

    def add(self, item: ObjectRef, written: int) -> None:
        self._objects.append(item)
        self._bytes += item.size
        self._request_bytes += written

    @property
    def is_full(self) -> bool:
        return len(self._objects) >= self._max_files or self._bytes >= self._limits.max_bytes

    def to_batch(self, attempt: int, *, is_full: bool) -> Batch:
        return Batch(tuple(self._objects), attempt, is_full)


def _written_bytes(item: ObjectRef) -> int:
    """How many bytes an object takes in a request, with the comma after it."""
    return len(item.model_dump_json(by_alias=True, exclude_none=True).encode()) + 1


def limits_of(ingest: Ingest) -> Limits:
    """How large the batches of an ingest may be, so that a Job can carry their request."""
    spec = ingest.spec
    return Limits(spec.batch.max_bytes, MAX_REQUEST_BYTES - _bytes_without_objects(ingest))


def _bytes_without_objects(ingest: Ingest) -> int:
    spec = ingest.spec
    empty = RunRequest(
        ingest=str(ingest.key),
        run="r" * 63,
        attempt=10**9,
        source=spec.source,
        format=spec.format,
        contract=spec.contract,
        quality=spec.quality,
        privacy=spec.privacy,
    )
    return len(empty.model_dump_json(by_alias=True, exclude_none=True).encode())
