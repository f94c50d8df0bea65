"""How many Jobs may live at once over all ingests, and who waits for a place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sales_operator.observed import IngestKey


@dataclass
class Lent:
    """What one look may use."""

    free: int
    taken: int = 0

    def take(self, count: int) -> None:
        """Say how many Jobs are going to be made."""
        self.taken = count


class Slots:
    """Places for live Jobs. Between two awaits nobody else decides, so nothing is locked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lent: list[Lent] = []
        self._hungry: dict[IngestKey, None] = {}

    @contextmanager
    def lend(self, live: int) -> Iterator[Lent]:
        """Places for new Jobs, apart from those that others are about to make."""
        promised = sum(lent.taken for lent in self._lent)
        mine = Lent(max(self._limit - live - promised, 0))
        self._lent.append(mine)
        try:
            yield mine
        finally:
            self._lent = [lent for lent in self._lent if lent is not mine]

    def wants(self, key: IngestKey, *, is_hungry: bool) -> None:
        """Note whether an ingest waits for a place."""
        if is_hungry:
            self._hungry.setdefault(key)
        else:
            self._hungry.pop(key, None)

    def hungry(self) -> list[IngestKey]:
        """Who waits, the longest first."""
        return list(self._hungry)
