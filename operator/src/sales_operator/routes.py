"""Which ingests an event of the object store is for."""

from collections.abc import Iterable, Iterator

from sales_operator.documents import Manifest, key_of, place_of
from sales_operator.observed import IngestKey


class Routes:
    """From bucket and prefix to ingests; patterns are left to the look."""

    def __init__(self, ingests: Iterable[Manifest]) -> None:
        self._ingests: dict[tuple[str, str], list[IngestKey]] = {}
        for document in ingests:
            self._ingests.setdefault(place_of(document), []).append(key_of(document))

    def to(self, bucket: str, key: str) -> list[IngestKey]:
        """The ingests under whose prefix an object lies."""
        return [
            ingest
            for prefix in _prefixes(key)
            for ingest in self._ingests.get((bucket, prefix), ())
        ]


def _prefixes(key: str) -> Iterator[str]:
    """What a prefix of this key can be: each ends in a slash."""
    at = key.find("/")
    while at >= 0:
        yield key[: at + 1]
        at = key.find("/", at + 1)
