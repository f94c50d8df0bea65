"""What the watches tell becomes keys in the queue: only of what asks for a look."""

from collections.abc import Callable

from sales_operator.documents import Manifest, key_of, owner_of, uid_of
from sales_operator.observed import IngestKey
from sales_operator.queue import Queue
from sales_operator.reading import is_worth_a_look
from sales_operator.routes import Routes
from sales_operator.runs import is_live
from sales_operator.seen import Seen


class Watching:
    """Keeps what is told, and has looked at what has changed.

    Args:
        seen: Where it is kept.
        queue: Who is to be looked at.
        slot_is_free: Called when a Job has ended.
    """

    def __init__(
        self, seen: Seen, queue: Queue[IngestKey], slot_is_free: Callable[[], None]
    ) -> None:
        self._seen = seen
        self._queue = queue
        self._slot_is_free = slot_is_free
        self._routes: Routes | None = None

    def ingest_told(self, document: Manifest, *, is_gone: bool) -> None:
        """A watch tells of an ingest."""
        key = key_of(document)
        before = self._seen.ingest(key)
        self._seen.tell("ingests", document, is_gone=is_gone)
        if is_gone or is_worth_a_look(before, document):
            self._routes = None
            self._queue.add(key)

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
        if self._routes is None:
            self._routes = Routes(self._seen.ingests())
        for ingest in self._routes.to(bucket, key):
            self._queue.add(ingest)
