"""What was measured on the cluster, as plain values: figures, and what each is held against."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.results import Target

_QUARTER = 4


@dataclass(frozen=True)
class Figure:
    """One measured value."""

    id: str
    """The measure that it belongs to, such as K1."""
    what: str
    value: float
    unit: str
    target: Target | None = None
    """None: it is told for information."""

    def as_json(self, *, quick: bool) -> dict[str, Any]:
        """For the result file; a quick run proves nothing about a target."""
        is_judged = self.target is not None and not quick
        return {
            "id": self.id,
            "what": self.what,
            "value": round(self.value, 3),
            "unit": self.unit,
            "target": self.target.text if self.target else None,
            "holds": self.target.holds(self.value) if self.target and is_judged else None,
        }


@dataclass
class Measurement:
    """What one or more measures that share their runs have brought."""

    figures: list[Figure]
    notes: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    """Every single value that the figures were made of."""

    @property
    def ids(self) -> list[str]:
        """The measures, in the order of their figures."""
        return list(dict.fromkeys(figure.id for figure in self.figures))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of all values do not exceed.

    A value that was measured, never one in between: the 99th of a hundred is the second largest.
    """
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def growth(values: Sequence[float]) -> float:
    """By how much the last quarter of a series lies above the first, by their medians."""
    size = max(len(values) // _QUARTER, 1)
    return percentile(values[-size:], 0.5) - percentile(values[:size], 0.5)


def told(counts: Mapping[str, int]) -> str:
    """Counts by name in one line: their sum, and the parts from the largest on."""
    parts = sorted(counts.items(), key=lambda part: (-part[1], part[0]))
    return f"{sum(counts.values()):,} ({', '.join(f'{name} {n:,}' for name, n in parts)})"
