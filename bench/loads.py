"""P1, P2, P3, W1 and W2: one file into an empty warehouse, and once more into a warm one."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from bench.ground import Place
from bench.results import Measure, Run, Side, at_least, at_most, ratio
from bench.runner import Bench, Contender
from sales_pipeline.generate import GenerateSpec

OURS = "pipeline"
COPY = "bare COPY"
_DLT = {
    "parquet": "dlt: arrow -> parquet -> binary COPY by ADBC -> upsert",
    "csv": "dlt: arrow -> CSV -> COPY -> upsert",
    "insert_values": "dlt: arrow -> INSERT statements (its default) -> upsert",
}
_ROWS_OF_LEDGER = "SELECT rows_read, rows_loaded FROM ingest_object ORDER BY object_id"


def against_peers(bench: Bench, wanted: set[str]) -> list[Measure]:
    """P1 and P2 share the pipeline's runs: dlt and bare COPY on the same rows."""
    formats = _dlt_formats(quick=bench.options.quick) if "P1" in wanted else []
    what = "object store -> star, ledger and archive; 1 % bad rows"
    contenders = [Contender(OURS, what, partial(bench.load, bench.spec))]
    contenders += [
        Contender(f"dlt {name}", _DLT[name], partial(_dlt, bench, name)) for name in formats
    ]
    if "P2" in wanted:
        what = "COPY of the file into an unindexed table of text"
        contenders.append(Contender(COPY, what, partial(_copy, bench)))
    title = "+".join(sorted(wanted & {"P1", "P2"}))
    sides = {side.name: side for side in bench.compare(title, contenders)}
    measures = []
    if formats:
        measures.append(_against_dlt(sides[OURS], [sides[f"dlt {name}"] for name in formats]))
    if "P2" in wanted:
        measures.append(_against_copy(sides[OURS], sides[COPY]))
    return measures


def _dlt_formats(*, quick: bool) -> list[str]:
    """Those worth measuring: its slow default only where that costs little."""
    if find_spec("dlt") is None or find_spec("pyarrow") is None:
        raise RuntimeError("P1 needs dlt and pyarrow: uv run --group bench python -m bench")
    fastest = ["parquet"] if find_spec("adbc_driver_postgresql") else []
    return [*fastest, "csv", *(["insert_values"] if quick else [])]


def _dlt(bench: Bench, loader_format: str) -> Run:
    path, _ = bench.file(replace(bench.spec, error_rate=0))
    with bench.ground.place() as place:
        folder = bench.scratch()
        job = {"side": "dlt", "file": str(path), "url": place.url, "folder": str(folder)}
        run = bench.work({**job, "format": loader_format}, _dlt_environ(str(folder)))
        _require_all(bench, place, "flat.sales")
        shutil.rmtree(folder)
    return run


def _dlt_environ(folder: str) -> dict[str, str]:
    """No telemetry, and no configuration of whoever runs the benchmark."""
    return {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "DLT_PROJECT_DIR": folder,
        "DLT_DATA_DIR": folder,
    }


def _copy(bench: Bench) -> Run:
    path, _ = bench.file(replace(bench.spec, error_rate=0))
    with bench.ground.place() as place:
        run = bench.work({"side": "copy", "file": str(path), "dsn": place.dsn})
        _require_all(bench, place, "public.staging")
    return run


def _require_all(bench: Bench, place: Place, table: str) -> None:
    [(found,)] = place.rows(f"SELECT count(*) FROM {table}")
    if found != bench.options.rows:
        raise RuntimeError(f"{found} rows are in {table}, {bench.options.rows} were sent")


def _against_dlt(ours: Side, peers: Sequence[Side]) -> Measure:
    fastest = min(peers, key=lambda side: side.seconds)
    return Measure(
        id="P1",
        title="End to end against dlt",
        sides=[ours, *peers],
        value=ratio(fastest, ours),
        value_is=f"speed of the pipeline / speed of {fastest.name}, here the fastest of dlt's ways",
        target=at_least(4),
        notes=[f"against {p.name}: {ratio(p, ours):.2f} x" for p in peers if p is not fastest],
    )


def _against_copy(ours: Side, copy: Side) -> Measure:
    return Measure(
        id="P2",
        title="End to end against bare COPY",
        sides=[ours, copy],
        value=ratio(ours, copy),
        value_is="time of the pipeline / time of bare COPY",
        target=at_most(5),
    )


def second_load(bench: Bench) -> Measure:
    """P3: the same rows again, under a later key: each meets a known order and wins."""
    first = Side("first load", "new keys into an empty star")
    second = Side("second load", "the same rows under another key, uploaded later")
    for repeat in range(bench.options.repeats):
        with bench.ground.place() as place:
            place.upload(bench.spec, "raw/1/")
            uploaded = place.uploaded_at()
            bench.once("P3", first, partial(bench.pipeline, place), repeat)
            place.upload_after(uploaded, bench.spec, "raw/2/")
            bench.once("P3", second, partial(bench.pipeline, place), repeat)
            _require_second_won(place)
    return Measure(
        id="P3",
        title="Second load of the same keys",
        sides=[first, second],
        value=ratio(second, first),
        value_is="time of the second load / time of the first",
        target=at_most(1.5),
    )


def _require_second_won(place: Place) -> None:
    first, second = place.rows(_ROWS_OF_LEDGER)
    if first != second:
        raise RuntimeError(f"read and loaded: first {first}, second {second}")


def new_customers(bench: Bench) -> Measure:
    """W1: the worst case for the dimensions: hardly a customer orders twice."""
    usual = replace(bench.spec, rows_per_customer=GenerateSpec(rows=1).rows_per_customer)
    worst = replace(bench.spec, rows_per_customer=1)
    usual_side, worst_side = bench.compare(
        "W1",
        [
            Contender("usual", "five orders to a customer", partial(bench.load, usual)),
            Contender("worst", "as many customers as orders", partial(bench.load, worst)),
        ],
    )
    return Measure(
        id="W1",
        title="As many customers as orders",
        sides=[usual_side, worst_side],
        value=ratio(worst_side, usual_side),
        value_is="time with one order to a customer on average / time with five",
    )


def scattered_keys(bench: Bench) -> Measure:
    """W2: the worst case for the facts: keys in no order, which no range tells from known ones."""
    load = partial(bench.load, bench.spec)
    usual_side, worst_side = bench.compare(
        "W2",
        [
            Contender("counting up", "order ids of each block above those before", load),
            Contender("in no order", "the same ids, scattered", partial(load, scattered=True)),
        ],
    )
    return Measure(
        id="W2",
        title="Order ids in no order",
        sides=[usual_side, worst_side],
        value=ratio(worst_side, usual_side),
        value_is="time with order ids in no order / time with ids that count up",
    )
