"""What the watches tell becomes keys in the queue: only of what asks for a look."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from sales_api import names
from sales_operator.documents import Manifest, key_of, owner_of, uid_of
from sales_operator.observed import IngestKey
from sales_operator.queue import Queue
from sales_operator.reading import is_worth_a_look
from sales_operator.refusals import TOKEN_REFUSED, Span, Standing
from sales_operator.routes import Routes
from sales_operator.runs import is_live
from sales_operator.seen import Seen

log = logging.getLogger(__name__)


class Watching:
    """Keeps what is told, and has looked at what has changed.

    Args:
        seen: Where it is kept.
        queue: Who is to be looked at.
        slot_is_free: Called when a Job has ended.
        refusals: Who is told of events that are refused, and of those that are not.
    """

    def __init__(
        self,
        seen: Seen,
        queue: Queue[IngestKey],
        slot_is_free: Callable[[], None],
        refusals: Standing,
    ) -> None:
        self._seen = seen
        self._queue = queue
        self._slot_is_free = slot_is_free
        self._refusals = refusals
        self._routes: Routes | None = None

    def ingest_told(self, document: Manifest, *, is_gone: bool) -> None:
        """A watch tells of an ingest."""
        key = key_of(document)
        before = self._seen.ingest(key)
        self._seen.tell("ingests", document, is_gone=is_gone)
        if is_gone or is_worth_a_look(before, document):
            self._routes = None
            self._queue.add(key)
        if before is not None and not is_gone:
            self._word_left(before, document)

    def _word_left(self, before: Manifest, after: Manifest) -> None:
        """What replicas that stand by have heard; what was there at the start is old."""
        was, now = (d["metadata"].get("annotations") or {} for d in (before, after))
        if was.get(names.ANNOTATION_WAKE) != now.get(names.ANNOTATION_WAKE):
            self._admitted()
        text = now.get(names.ANNOTATION_REFUSED, "")
        if text != was.get(names.ANNOTATION_REFUSED, "") and (span := Span.parse(text)):
            self._are_refused(span)

    def job_told(self, document: Manifest, *, is_gone: bool) -> None:
        """A watch tells of a Job."""
        before = self._seen.job(uid_of(document))
        was_live = before is not None and is_live(before)
        self._seen.tell("jobs", document, is_gone=is_gone)
        lives = not is_gone and is_live(document)
        if is_gone or before is None or was_live != lives:
            key = self._seen.key_of_uid(owner_of(document))
            if key:
                self._queue.add(key)
        if was_live and not lives:
            self._slot_is_free()

    def listed(self) -> None:
        """Everything was listed anew: look at all of it."""
        self._routes = None
        for key in self._seen.everyone():
            self._queue.add(key)

    def heard(self, bucket: str, key: str) -> None:
        """The object store tells of a new object."""
        self._admitted()
        for ingest in self._ingests(bucket, key):
            self._queue.add(ingest)

    def refused(self, bucket: str, key: str, span: Span) -> None:
        """Events are refused for their token; the last was to tell of this object."""
        if self._ingests(bucket, key):
            self._are_refused(span)

    def _ingests(self, bucket: str, key: str) -> list[IngestKey]:
        if self._routes is None:
            self._routes = Routes(self._seen.ingests())
        return self._routes.to(bucket, key)

    def _are_refused(self, span: Span) -> None:
        if self._refusals.refused(span, datetime.now(UTC)):
            log.warning("events are refused for their token", extra={"span": str(span)})
            for key in self._seen.everyone():
                self._queue.add(key)

    def _admitted(self) -> None:
        if self._refusals.admitted(datetime.now(UTC)):
            for document in self._seen.ingests():
                if _tells_of_refusals(document):
                    self._queue.add(key_of(document))


def _tells_of_refusals(ingest: Manifest) -> bool:
    conditions = (ingest.get("status") or {}).get("conditions", [])
    return any(condition["reason"] == TOKEN_REFUSED.reason for condition in conditions)
