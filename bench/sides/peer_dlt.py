"""The peer: dlt, reading the same rows as arrow batches, merging by upsert into one flat table.

Configured as fast as its documentation tells: no row passes through Python, columns are typed by
the reader (typed batches were faster than text ones), the load's workers are its default. Which of
its file formats is fastest is measured, not assumed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from pyarrow import csv

_BLOCK_BYTES = 8 * 1024 * 1024
_TYPES = {
    "product_rating": pa.decimal128(3, 2),
    "discounted_price": pa.decimal128(10, 2),
    "original_price": pa.decimal128(10, 2),
    "discount_percentage": pa.int64(),
    "is_best_seller": pa.bool_(),
    "delivery_date": pa.date32(),
    "data_collected_at": pa.date32(),
    "order_date": pa.date32(),
    "quantity": pa.int64(),
}


def prepare(job: dict[str, Any]) -> Callable[[], int]:
    """The resource is there; the pipeline is made as part of the work."""

    @dlt.resource(
        name="sales",
        primary_key="order_id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
    )
    def sales() -> Iterator[pa.Table]:
        yield from _batches(Path(job["file"]))

    def work() -> int:
        destination = dlt.destinations.postgres(job["url"])
        flow = dlt.pipeline(
            "bench", destination=destination, dataset_name="flat", pipelines_dir=job["folder"]
        )
        flow.run(sales(), loader_file_format=job["format"]).raise_on_failed_jobs()
        return int(flow.last_trace.last_normalize_info.row_counts["sales"])

    return work


def _batches(file: Path) -> Iterator[pa.Table]:
    with file.open() as opened:
        names = opened.readline().strip().split(",")
    types = {name: _TYPES.get(name, pa.string()) for name in names}
    with csv.open_csv(
        file,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=types, true_values=["True"], false_values=["False"]
        ),
    ) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
