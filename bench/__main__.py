"""`python -m bench`: measures the targets of speed, all sides on this machine in one run."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import machine, report
from bench.ground import Ground
from bench.measures import NAMES, USUAL, run_measures
from bench.results import Measure
from bench.runner import REPOSITORY, Bench, Options

MEGABYTE = 1_000_000
FULL = Options(
    rows=1_000_000, repeats=3, quick=False,
    sizes=(100 * MEGABYTE, 1_000 * MEGABYTE, 5_000 * MEGABYTE),
)  # fmt: skip
QUICK = Options(
    rows=20_000, repeats=2, quick=True, sizes=(2 * MEGABYTE, 5 * MEGABYTE, 20 * MEGABYTE)
)
PAGE = REPOSITORY / "docs" / "benchmarks.md"


def main() -> None:
    """Measure, or put into the documentation what was measured."""
    parser = _parser()
    asked = parser.parse_args()
    if asked.write_docs:
        try:
            report.write_docs(PAGE, json.loads(asked.out.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            parser.error(f"--write-docs: {error}")
        return
    wanted = {name.strip().upper() for name in asked.only.split(",")}
    if unknown := wanted - set(NAMES):
        parser.error(f"--only: unknown are {', '.join(sorted(unknown))}")
    base = QUICK if asked.quick else FULL
    options = replace(base, rows=asked.rows or base.rows, repeats=asked.repeats or base.repeats)
    try:
        kept = _kept(asked.out, wanted, options) if asked.keep else []
    except ValueError as error:
        parser.error(str(error))
    console = Console()
    try:
        document = _measure(options, wanted, kept, asked.out, console)
    except RuntimeError as error:
        # What was done before it is in the result file.
        sys.exit(str(error))
    console.print(report.table(document))
    for note in report.notes(document):
        console.print(note, highlight=False, soft_wrap=True)
    console.print(f"written to {asked.out}", highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "--only",
        default=",".join(USUAL),
        metavar="IDS",
        help=f"some of {', '.join(NAMES)} (%(default)s)",
    )
    add("--rows", type=_positive, help="rows of the usual file")
    add("--repeats", type=_positive, help="runs of each side")
    add("--quick", action="store_true", help="small sizes: a smoke test that gives no figures")
    add("--out", type=Path, default=REPOSITORY / "out" / "bench.json", help="the result file")
    add("--keep", action="store_true", help="keep what --out has of measures not run now")
    add("--write-docs", action="store_true", help="only put what --out has into the documentation")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _measure(
    options: Options, wanted: set[str], kept: list[dict[str, Any]], out: Path, console: Console
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="sales-bench-") as name:
        folder = Path(name)
        with Ground.prepare(folder) as ground:
            document = _document(ground, options, kept)

            def on_done(measure: Measure) -> None:
                # Written after each: an hour's work must not hang on its last minute.
                found = measure.as_json(quick=options.quick)
                document["measures"] = sorted([*document["measures"], found], key=_by_id)
                report.write_json(out, document)

            run_measures(Bench(ground, folder, options, console), wanted, on_done)
    return document


def _document(ground: Ground, options: Options, kept: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "quick": options.quick,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": asdict(options),
        "machine": machine.describe(),
        "postgres": machine.describe_postgres(ground.services.postgres.dsn()),
        "measures": kept,
    }


def _by_id(measure: dict[str, Any]) -> str:
    return measure["id"]


def _kept(out: Path, wanted: set[str], options: Options) -> list[dict[str, Any]]:
    """Earlier results.

    Raises:
        ValueError: They are of runs of other sizes.
    """
    if not out.exists():
        return []
    earlier = json.loads(out.read_text(encoding="utf-8"))
    if earlier["options"] != json.loads(json.dumps(asdict(options))):
        raise ValueError(f"--keep: {out} has results of other sizes")
    return [measure for measure in earlier["measures"] if measure["id"] not in wanted]


if __name__ == "__main__":
    main()
