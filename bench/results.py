"""What was measured, as plain values: runs, the sides they belong to, and what a measure says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Run:
    """One side, run once."""

    seconds: float
    """The work itself; the interpreter's start and imports are not in it."""
    rows: int
    process_seconds: float
    """The same with the start of its process and the preparation of its data."""
    peak_mib: float
    """The process's largest resident set (VmHWM)."""
    load_1m: float
    """How busy the machine was when it began: far above 0, the run was not alone."""

    @property
    def rows_per_second(self) -> float:
        """Speed of the work itself."""
        return self.rows / self.seconds

    def as_json(self) -> dict[str, Any]:
        """For the result file."""
        return {
            "seconds": round(self.seconds, 3),
            "process_seconds": round(self.process_seconds, 3),
            "rows": self.rows,
            "rows_per_second": round(self.rows_per_second),
            "peak_mib": round(self.peak_mib, 1),
            "load_1m": self.load_1m,
        }


@dataclass
class Side:
    """One of the things that a measure compares."""

    name: str
    what: str
    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median time of the work itself."""
        return median(run.seconds for run in self.runs)

    @property
    def rows_per_second(self) -> float:
        """The median speed."""
        return median(run.rows_per_second for run in self.runs)

    @property
    def peak_mib(self) -> float:
        """The largest peak: a limit on memory holds in every run or not at all."""
        return max(run.peak_mib for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """For the result file."""
        return {
            "name": self.name,
            "what": self.what,
            "median_seconds": round(self.seconds, 3),
            "median_process_seconds": round(median(r.process_seconds for r in self.runs), 3),
            "median_rows_per_second": round(self.rows_per_second),
            "peak_mib": round(self.peak_mib, 1),
            "runs": [run.as_json() for run in self.runs],
        }


@dataclass(frozen=True)
class Target:
    """What the measured value is held against."""

    text: str
    holds: Callable[[float], bool]


def at_least(bound: float) -> Target:
    """As large as that, or larger."""
    return Target(f"≥ {bound:g}", lambda value: value >= bound)


def at_most(bound: float) -> Target:
    """As large as that, or smaller."""
    return Target(f"≤ {bound:g}", lambda value: value <= bound)


@dataclass
class Measure:
    """What came out of one measure."""

    id: str
    title: str
    sides: list[Side]
    value: float
    """What the target is about."""
    value_is: str
    """How the value comes out of the sides."""
    unit: str = "x"
    """`x`: a ratio of medians."""
    target: Target | None = None
    """None: it is told for information."""
    notes: list[str] = field(default_factory=list)

    def as_json(self, *, quick: bool) -> dict[str, Any]:
        """For the result file; a quick run proves nothing about a target."""
        judged = self.target is not None and not quick
        return {
            "id": self.id,
            "title": self.title,
            "value": round(self.value, 3),
            "unit": self.unit,
            "value_is": self.value_is,
            "target": self.target.text if self.target else None,
            "holds": self.target.holds(self.value) if self.target and judged else None,
            "notes": self.notes,
            "sides": [side.as_json() for side in self.sides],
        }


def ratio(over: Side, under: Side) -> float:
    """The one's median time as a multiple of the other's."""
    return over.seconds / under.seconds
