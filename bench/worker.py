"""One run of one side in a process of its own: reads a job from stdin, answers on stdout.

A process of its own makes the peak of memory and the cost of a start honest, and nothing that one
side has imported, cached or fragmented helps or hinders another.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

SIDES = {
    "pipeline": ("pipeline", "prepare"),
    "copy": ("bare_copy", "prepare"),
    "dlt": ("peer_dlt", "prepare"),
    "validate": ("validation", "prepare_vectorised"),
    "check": ("validation", "prepare_row_by_row"),
    "plain": ("validation", "prepare_plain"),
}
"""Module and function; only the one that runs is imported."""


def main() -> None:
    """Do the job of stdin."""
    job = json.load(sys.stdin)
    module, function = SIDES[job["side"]]
    work = getattr(import_module(f"bench.sides.{module}"), function)(job)
    started = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - started
    json.dump({"seconds": seconds, "rows": rows, "peak_mib": _peak_mib()}, sys.stdout)


def _peak_mib() -> float:
    """The largest resident set this process has had.

    Not `getrusage`: its maximum is inherited from the process that started this one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmHWM:"))
    return int(found.split()[1]) / 1024


if __name__ == "__main__":
    main()
