"""P4, P5 and P6: larger files, larger tables, more files."""

from dataclasses import replace
from functools import partial

from bench.ground import PREFILLED
from bench.results import Measure, Side, at_most, ratio
from bench.runner import Bench, Contender
from sales_pipeline.generate import rows_for_size

GROWTH = 10
"""P5: the table holds so many times the rows of the file."""

LARGE_BYTES = 2_000_000_000
"""P4: a file from this size on is loaded once; a peak is no median, and it takes minutes."""

_ROOM_FACTOR = 6
"""P4: a file of n bytes takes about 5 n: object, archive copy, staging table, star, log."""

_SMALL_FILE_ROWS = 50
"""P6: about 10 kB."""


def memory(bench: Bench) -> Measure:
    """P4: the pipeline's peak does not follow the size of the file."""
    sides, notes = [], []
    for size in bench.options.sizes:
        if (free := bench.free_bytes()) < size * _ROOM_FACTOR:
            need, have = _in_units(size * _ROOM_FACTOR), _in_units(free)
            notes.append(f"{_in_units(size)} left out: it needs {need} of disk, {have} are free")
            bench.say(f"P4  {notes[-1]}")
            continue
        sides.append(_memory_side(bench, size))
    if not sides:
        raise RuntimeError("P4: the disk has no room for any of the files")
    smallest, largest = sides[0], sides[-1]
    flat = largest.peak_mib / smallest.peak_mib
    return Measure(
        id="P4",
        title="Peak memory of the pipeline",
        sides=sides,
        value=max(side.peak_mib for side in sides),
        unit="MiB",
        value_is="largest peak of all runs (VmHWM)",
        target=at_most(512),
        notes=[f"peak at {largest.name} / peak at {smallest.name}: {flat:.2f} x", *notes],
    )


def _memory_side(bench: Bench, size: int) -> Side:
    spec = replace(bench.spec, rows=rows_for_size(size))
    repeats = 1 if size >= LARGE_BYTES else bench.options.repeats
    what = f"a file of that size, {spec.rows:,} rows"
    [side] = bench.compare(
        "P4", [Contender(_in_units(size), what, partial(bench.load, spec))], repeats
    )
    return side


def _in_units(size: int) -> str:
    giga = 1_000_000_000
    return f"{size / giga:.3g} GB" if size >= giga else f"{size / 1_000_000:.3g} MB"


def growth(bench: Bench) -> Measure:
    """P5: new orders into an empty table, and into one that has ten times the rows.

    As each day's orders do, they follow those that are there; that they lie between them instead
    is measured beside it.
    """
    rows = bench.options.rows * GROWTH
    with bench.working(f"P5  prefilling {rows:,} rows"):
        bench.ground.prefill(rows, bench.spec)
    following = replace(bench.spec, seed=bench.spec.seed + 1)
    empty, full, between = bench.compare(
        "P5",
        [
            Contender("into 0 rows", "an empty star", partial(bench.load, bench.spec)),
            Contender(
                f"after {rows:,} rows",
                "new keys behind those that are there, new customers",
                partial(bench.load, following, PREFILLED),
            ),
            Contender(
                f"among {rows:,} rows",
                "new keys all over the index, new customers",
                partial(bench.load, bench.spec, PREFILLED),
            ),
        ],
    )
    bench.ground.forget_prefilled()
    return Measure(
        id="P5",
        title="Load time as the table grows",
        sides=[empty, full, between],
        value=ratio(full, empty),
        value_is=f"time after {rows:,} rows / time into an empty table",
        target=at_most(1.3),
        notes=[f"among {rows:,} rows / into an empty table: {ratio(between, empty):.2f} x"],
    )


def small_files(bench: Bench) -> Measure:
    """P6: the same rows in many files of 10 kB and in one; one process each."""
    files = 20 if bench.options.quick else 1000
    many = replace(bench.spec, rows=_SMALL_FILE_ROWS, files=files)
    one = replace(many, rows=_SMALL_FILE_ROWS * files, files=1)
    one_side, many_side = bench.compare(
        "P6",
        [
            Contender("one file", f"{one.rows:,} rows", partial(bench.load, one)),
            Contender(f"{files:,} files", "the same rows, 50 to a file", partial(bench.load, many)),
        ],
    )
    return Measure(
        id="P6",
        title="Many small files",
        sides=[one_side, many_side],
        value=ratio(many_side, one_side),
        value_is=f"time of {files:,} files / time of one with the same rows",
        target=at_most(3),
    )
