"""The list of measures: what can be asked for, and which of them share their runs."""

from collections.abc import Callable

from bench import loads, rules, scale
from bench.results import Measure
from bench.runner import Bench

_SINGLE: dict[str, Callable[[Bench], Measure]] = {
    "P3": loads.second_load,
    "P7": rules.validation,
    "W1": loads.new_customers,
    "W2": loads.scattered_keys,
    "P6": scale.small_files,
    "P5": scale.growth,
    "P4": scale.memory,
}
"""The longest last: what has been measured by then is written already."""

NAMES = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "W1", "W2")
USUAL = ("P1", "P2", "P3", "P4", "P5", "P7")
"""Those of one file's way; the others are asked for by name."""


def run_measures(bench: Bench, wanted: set[str], on_done: Callable[[Measure], None]) -> None:
    """Run what is wanted and tell of each as it is done."""
    if wanted & {"P1", "P2"}:
        for measure in loads.against_peers(bench, wanted):
            on_done(measure)
    for name, measure_of in _SINGLE.items():
        if name in wanted:
            on_done(measure_of(bench))
