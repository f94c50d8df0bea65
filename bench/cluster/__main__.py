"""`python -m bench.cluster`: measures the operator on the local cluster, K1 to K4."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3
from rich.console import Console

from bench import machine
from bench.cluster import burst, crowd, one_by_one, report
from bench.cluster.api import ApiError
from bench.cluster.crowd import Size
from bench.cluster.figures import Measurement
from bench.cluster.ground import Ground
from bench.cluster.jobs import NotMeasuredError
from bench.report import write_json
from cluster.shell import ClusterError
from tests.docs.pages import ROOT
from tests.e2e.kube import KubeError

NAMES = ("K1", "K2", "K3", "K4")
PAGE = ROOT / "docs" / "benchmarks.md"

Say = Callable[[str], None]
FAILURES = (
    NotMeasuredError,
    KubeError,
    ApiError,
    ClusterError,
    LookupError,
    OSError,
    subprocess.SubprocessError,
    urllib3.exceptions.HTTPError,
)
"""What keeps a measure from being taken."""


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    files: int
    """K1 and K2."""
    burst_ingests: int
    """K4."""
    crowd: Size
    """K3."""
    quick: bool = False


FULL = Options(files=100, burst_ingests=50, crowd=Size(1000, 10_000, minutes=10))
QUICK = Options(files=3, burst_ingests=3, crowd=Size(20, 100, minutes=1), quick=True)


def main() -> None:
    """Measure, or put into the documentation what was measured.

    Exit code 0 also where a target is missed, 1 where something could not be measured.
    """
    parser = _parser()
    asked = parser.parse_args()
    try:
        if asked.write_docs:
            report.write_docs(PAGE, json.loads(asked.out.read_text(encoding="utf-8")))
            return
        options, wanted = _options(asked), _wanted(asked.only)
        document = {"quick": options.quick, "measurements": _kept(asked, wanted)}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    console = Console()
    try:
        _measure(options, wanted, document, asked.out, console)
    except FAILURES as error:
        # What was done before it is in the result file.
        notes = "\n".join(getattr(error, "__notes__", ()))
        sys.exit(f"not measured: {type(error).__name__}: {error}\n{notes}".rstrip())
    console.print(report.table(document))
    for note in report.notes(document):
        console.print(note, highlight=False, soft_wrap=True)
    console.print(f"written to {asked.out}", highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    add = parser.add_argument
    add("--only", default=",".join(NAMES), metavar="IDS", help="some of %(default)s")
    add("--files", type=int, help=f"K1, K2: files ({FULL.files})")
    add("--minutes", type=float, help=f"K3: how long to watch at rest ({FULL.crowd.minutes:g})")
    add("--quick", action="store_true", help="small numbers: a smoke test that gives no figures")
    add("--out", type=Path, default=ROOT / "out" / "bench-cluster.json", help="the result file")
    add("--keep", action="store_true", help="keep what --out has of measures not run now")
    add("--write-docs", action="store_true", help="only put what --out has into the documentation")
    return parser


def _options(asked: argparse.Namespace) -> Options:
    base = QUICK if asked.quick else FULL
    minutes = base.crowd.minutes if asked.minutes is None else asked.minutes
    files = base.files if asked.files is None else asked.files
    if files < 1 or minutes <= 0:
        raise ValueError("--files and --minutes must be more than 0")
    size = Size(base.crowd.ingests, base.crowd.objects, minutes)
    return Options(files, base.burst_ingests, size, base.quick)


def _wanted(text: str) -> set[str]:
    wanted = {name.strip().upper() for name in text.split(",")}
    if unknown := wanted - set(NAMES):
        raise ValueError(f"--only: unknown are {', '.join(sorted(unknown))}")
    return wanted


def _kept(asked: argparse.Namespace, wanted: set[str]) -> list[dict[str, Any]]:
    """Earlier measurements, none of which is taken now.

    Raises:
        ValueError: They are of a quick run, and this is none, or the other way round.
    """
    if not asked.keep or not asked.out.exists():
        return []
    earlier = json.loads(asked.out.read_text(encoding="utf-8"))
    if earlier["quick"] != asked.quick:
        raise ValueError(f"--keep: {asked.out} has results of other sizes")
    return [found for found in earlier["measurements"] if not wanted & set(found["ids"])]


def _measure(
    options: Options, wanted: set[str], document: dict[str, Any], out: Path, console: Console
) -> None:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="sales-bench-") as name:
        folder = Path(name)
        say("installing the platform")
        with Ground.prepare(folder) as ground:
            for ids, measure in _measures(options, folder).items():
                if wanted & set(ids):
                    before = _circumstances(ground)
                    found = measure(ground, say)
                    # Written after each: an hour's work must not hang on its last minute.
                    told = before | _as_json(found, options)
                    document["measurements"] = sorted(
                        [*document["measurements"], told], key=lambda one: one["ids"]
                    )
                    write_json(out, document)


def _measures(
    options: Options, folder: Path
) -> dict[tuple[str, ...], Callable[[Ground, Say], Measurement]]:
    """By the figures they bring, the longest last."""
    return {
        ("K1", "K2"): lambda ground, say: one_by_one.measure(ground, options.files, say),
        ("K4",): lambda ground, say: burst.measure(ground, options.burst_ingests, say),
        ("K3",): lambda ground, say: crowd.measure(ground, options.crowd, folder, say),
    }


def _circumstances(ground: Ground) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_1m": machine.load_1m(),
        "machine": machine.describe(),
        "kubernetes": ground.kubernetes,
    }


def _as_json(found: Measurement, options: Options) -> dict[str, Any]:
    return {
        "ids": found.ids,
        "options": asdict(options),
        "figures": [figure.as_json(quick=options.quick) for figure in found.figures],
        "notes": found.notes,
        "runs": found.runs,
    }


if __name__ == "__main__":
    main()
