"""What listings and watches have told, newest first: so that an event costs no request.

Nothing here is state to rely on: it is filled by a listing before anything is decided, and
compared with one at every resync. A watch that has gone silent is noticed by that comparison.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from sales_operator.documents import Manifest, key_of, owner_of, uid_of, version_of
from sales_operator.observed import IngestKey
from sales_operator.runs import is_live

Kind = Literal["ingests", "jobs"]

WATCH_LIMIT_SECONDS: Final = 60
"""A watch that has not told for so long what a listing told is dead."""


@dataclass
class _Shelf:
    """The documents of one kind, by uid."""

    documents: dict[str, Manifest] = field(default_factory=dict)
    stored_at: dict[str, float] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    """The version of each that the watch has told."""
    owed: dict[str, tuple[int, float]] = field(default_factory=dict)
    """The version that a listing told and the watch has not, and since when."""
    gone: set[str] = field(default_factory=set)
    """Deleted since the last listing began."""

    def put(self, document: Manifest) -> bool:
        """Keep a document unless a newer one is here; tells whether it was kept."""
        uid = uid_of(document)
        before = self.documents.get(uid)
        if uid in self.gone or (before and version_of(before) > version_of(document)):
            return False
        self.documents[uid] = document
        self.stored_at[uid] = time.monotonic()
        return True

    def tell(self, document: Manifest, *, is_gone: bool) -> None:
        uid, version = uid_of(document), version_of(document)
        if self.owed.get(uid, (0, 0.0))[0] <= version:
            self.owed.pop(uid, None)
        self.told[uid] = version
        if is_gone:
            self.gone.add(uid)
            self.drop(uid)
        else:
            self.put(document)

    def drop(self, uid: str) -> None:
        for shelf in (self.documents, self.stored_at, self.told, self.owed):
            shelf.pop(uid, None)

    def replace(self, listed: Iterable[Manifest], began: float) -> None:
        there = {uid_of(document): document for document in listed}
        for uid in [u for u in self.documents if u not in there and self.stored_at[u] < began]:
            self.drop(uid)
        for uid, document in there.items():
            version = version_of(document)
            if self.put(document) and self.told.get(uid, 0) < version:
                since = self.owed.get(uid, (0, time.monotonic()))[1]
                self.owed[uid] = (version, since)


class Seen:
    """All ingests, and all Jobs of runs."""

    def __init__(self) -> None:
        self._shelves: dict[Kind, _Shelf] = {"ingests": _Shelf(), "jobs": _Shelf()}
        self._keys: dict[IngestKey, str] = {}
        self._of_ingest: dict[str, set[str]] = {}
        self._live: set[str] = set()

    # --- being told

    def begin_listing(self) -> float:
        """To be called before a listing is asked for; its result is what `replace` takes."""
        for shelf in self._shelves.values():
            shelf.gone.clear()
        return time.monotonic()

    def replace(self, ingests: Iterable[Manifest], jobs: Iterable[Manifest], began: float) -> None:
        """Take in a listing; what changed meanwhile is kept as it is."""
        self._shelves["ingests"].replace(ingests, began)
        self._shelves["jobs"].replace(jobs, began)
        self._index()

    def tell(self, kind: Kind, document: Manifest, *, is_gone: bool) -> None:
        """Take in what a watch tells."""
        self._shelves[kind].tell(document, is_gone=is_gone)
        self._note(kind, document)

    def put(self, kind: Kind, document: Manifest) -> None:
        """Take in what the API server answered to a change of ours."""
        self._shelves[kind].put(document)
        self._note(kind, document)

    def _index(self) -> None:
        ingests = sorted(self._shelves["ingests"].documents.values(), key=version_of)
        self._keys = {key_of(ingest): uid_of(ingest) for ingest in ingests}
        self._of_ingest = {}
        self._live = set()
        for job in self._shelves["jobs"].documents.values():
            self._of_ingest.setdefault(owner_of(job), set()).add(uid_of(job))
            if is_live(job):
                self._live.add(uid_of(job))

    def _note(self, kind: Kind, document: Manifest) -> None:
        if kind == "jobs":
            self._note_job(uid_of(document), owner_of(document))
        else:
            self._note_ingest(uid_of(document), key_of(document))

    def _note_ingest(self, uid: str, key: IngestKey) -> None:
        # What is told of one that is gone may come after its successor of the same name.
        documents = self._shelves["ingests"].documents
        rivals = [documents[u] for u in {uid, self._keys.pop(key, uid)} if u in documents]
        if rivals:
            self._keys[key] = uid_of(max(rivals, key=version_of))

    def _note_job(self, uid: str, owner: str) -> None:
        job = self._shelves["jobs"].documents.get(uid)
        jobs = self._of_ingest.setdefault(owner, set())
        (jobs.add if job else jobs.discard)(uid)
        if not jobs:
            del self._of_ingest[owner]
        (self._live.add if job and is_live(job) else self._live.discard)(uid)

    # --- telling

    def ingest(self, key: IngestKey) -> Manifest | None:
        """An ingest as it was last seen."""
        uid = self._keys.get(key)
        return self._shelves["ingests"].documents.get(uid) if uid else None

    def ingests(self) -> Iterator[Manifest]:
        """All ingests."""
        return iter(list(self._shelves["ingests"].documents.values()))

    def everyone(self) -> list[IngestKey]:
        """Which ingests there are."""
        return list(self._keys)

    def jobs(self) -> Iterator[Manifest]:
        """The Jobs of all ingests."""
        return iter(list(self._shelves["jobs"].documents.values()))

    def jobs_of(self, uid: str) -> list[Manifest]:
        """The Jobs of one ingest, by its uid."""
        documents = self._shelves["jobs"].documents
        return [documents[job] for job in self._of_ingest.get(uid, ())]

    def job(self, uid: str) -> Manifest | None:
        """A Job as it was last seen."""
        return self._shelves["jobs"].documents.get(uid)

    def key_of_uid(self, uid: str) -> IngestKey | None:
        """Which ingest has this uid."""
        document = self._shelves["ingests"].documents.get(uid)
        return key_of(document) if document else None

    def live_jobs(self) -> int:
        """How many Jobs of runs have not ended."""
        return len(self._live)

    def silence(self) -> dict[Kind, float]:
        """For how many seconds each watch owes what a listing told; 0 if it owes nothing."""
        now = time.monotonic()
        return {
            kind: max((now - since for _, since in shelf.owed.values()), default=0.0)
            for kind, shelf in self._shelves.items()
        }
