"""Validation alone, three ways, on the same records in memory."""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, EmailStr, Field, StringConstraints, ValidationError

from sales_api.v1alpha1 import Contract, Format
from sales_pipeline.mapping import to_record
from sales_pipeline.read import Reader
from sales_pipeline.schema import SalesRecord, check
from sales_pipeline.settings import Settings
from sales_pipeline.validate import validate

_CHUNK_BYTES = 1024 * 1024


def prepare_vectorised(job: dict[str, Any]) -> Callable[[], int]:
    """Ours: expressions for all, the model for the rows that they do not take."""
    contract, frames = Contract(), _frames(job["file"])

    def work() -> int:
        rejected = sum(validate(frame, contract).rejected.height for frame in frames)
        return _counted(frames, rejected, job)

    return work


def prepare_row_by_row(job: dict[str, Any]) -> Callable[[], int]:
    """The pydantic model that defines our contract, row by row."""
    contract, frames = Contract(), _frames(job["file"])

    def work() -> int:
        verdicts = (check(row, contract.rules) for row in _rows(frames))
        rejected = sum(not isinstance(verdict, SalesRecord) for verdict in verdicts)
        return _counted(frames, rejected, job)

    return work


def prepare_plain(job: dict[str, Any]) -> Callable[[], int]:
    """The pydantic model that one would write without us, row by row."""
    frames = _frames(job["file"])

    def work() -> int:
        return _counted(frames, sum(not _is_plain(row) for row in _rows(frames)), job)

    return work


def _text(shortest: int, longest: int) -> Any:
    return Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)
    ]


_Price = Annotated[Decimal, Field(gt=0, max_digits=10, decimal_places=2)]


class PlainRecord(BaseModel):
    """The record in pydantic's own types: its validators are native code but for the e-mail's."""

    model_config = ConfigDict(extra="forbid")

    order_id: _text(10, 10)  # type: ignore[valid-type]
    customer_name: _text(1, 255)  # type: ignore[valid-type]
    customer_email: EmailStr
    customer_phone: _text(1, 50)  # type: ignore[valid-type]
    customer_address: _text(1, 500)  # type: ignore[valid-type]
    product_title: _text(1, 500)  # type: ignore[valid-type]
    product_rating: Annotated[Decimal, Field(ge=1, le=5)]
    discounted_price: _Price
    original_price: _Price
    discount_percentage: Annotated[int, Field(ge=0, le=100)]
    is_best_seller: bool
    delivery_date: date
    data_collected_at: date
    order_date: date
    product_category: _text(1, 100)  # type: ignore[valid-type]
    quantity: Annotated[int, Field(ge=1)]


def _is_plain(row: dict[str, Any]) -> bool:
    try:
        PlainRecord.model_validate(row)
    except ValidationError:
        return False
    return True


def _frames(file: str) -> list[pl.DataFrame]:
    """The records as the pipeline has them before it validates, in batches of its size."""
    contract, fmt, block_bytes = Contract(), Format(), Settings().block_bytes
    with Path(file).open("rb") as opened:
        chunks = iter(lambda: opened.read(_CHUNK_BYTES), b"")
        reader = Reader(chunks, fmt, contract, where=file, block_bytes=block_bytes)
        return [to_record(batch.frame, contract, fmt.null_values) for batch in reader.batches()]


def _rows(frames: list[pl.DataFrame]) -> Iterator[dict[str, Any]]:
    for frame in frames:
        for row in frame.iter_rows(named=True):
            del row["row_number"]
            yield row


def _counted(frames: list[pl.DataFrame], rejected: int, job: dict[str, Any]) -> int:
    """The number of rows, if as many were rejected as were made bad."""
    if rejected != job["bad_rows"]:
        raise RuntimeError(f"{rejected} rows rejected, {job['bad_rows']} are bad")
    return sum(frame.height for frame in frames)
