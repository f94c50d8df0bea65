"""Puts bytes through the pure stages: reader, mapping, validation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
import pytest

from sales_api.names import RECORD_COLUMNS
from sales_api.v1alpha1 import ColumnMapping, Contract, Format
from sales_pipeline import records
from sales_pipeline.errors import PermanentError
from sales_pipeline.mapping import to_record
from sales_pipeline.read import ROW_NUMBER, Reader
from sales_pipeline.validate import validate

WHERE = "raw/sales.csv"


def pieces(data: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    """The bytes as a store would send them."""
    return iter([data[at : at + size] for at in range(0, len(data), size)])


def reader(
    data: bytes,
    fmt: Format | None = None,
    contract: Contract | None = None,
    *,
    block: int = 1 << 20,
    piece: int = 1 << 20,
) -> Reader:
    return Reader(
        pieces(data, piece),
        fmt or Format(),
        contract or Contract(),
        where=WHERE,
        block_bytes=block,
    )


@contextmanager
def sifting(size: int) -> Iterator[None]:
    """Look at files in windows of about this size, small enough for the files of tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "FINE_BYTES", size)
        patch.setattr(records, "COARSE_BYTES", 3 * size)
        yield


def any_columns(names: list[str], **changes: object) -> Contract:
    """A contract that reads these columns, whatever they are called."""
    constants = {name: ColumnMapping(constant="1") for name in RECORD_COLUMNS}
    return Contract(columns={**constants, "order_id": ColumnMapping(concat=names)}, **changes)


@dataclass(frozen=True)
class Read:
    """All that a reader gave of a file."""

    rows: list[tuple[int, dict[str, str]]]
    """Row number and cells; an empty cell is an empty text."""
    rejects: list[tuple[int, str]]
    """Row number and code, in order."""
    read: int

    @property
    def cells(self) -> list[list[str]]:
        return [list(row.values()) for _, row in self.rows]


def read(data: bytes, fmt: Format | None = None, contract: Contract | None = None, **sizes) -> Read:
    """Read a file to its end."""
    batches = list(reader(data, fmt, contract, **sizes).batches())
    rows, rejects = [], []
    for batch in batches:
        for row in batch.frame.iter_rows(named=True):
            number = row.pop(ROW_NUMBER)
            rows.append((number, {name: cell or "" for name, cell in row.items()}))
        rejects += list(batch.rejects.select("row_number", "code").iter_rows())
        assert batch.read == batch.frame.height + batch.rejects["row_number"].n_unique()
    return Read(rows, sorted(rejects), sum(batch.read for batch in batches))


def refusal(data: bytes, fmt: Format | None = None, contract: Contract | None = None, **sizes):
    """The error with which a file is refused as a whole."""
    with pytest.raises(PermanentError) as caught:
        read(data, fmt, contract, **sizes)
    return caught.value


@dataclass(frozen=True)
class Judged:
    """What became of a file's rows."""

    read: int
    accepted: list[dict[str, str]]
    rejected: dict[int, list[str]]
    """Codes by row number."""


def judge(
    data: bytes, fmt: Format | None = None, contract: Contract | None = None, **sizes
) -> Judged:
    """Read, map and validate a file; holds that no row is lost or counted twice."""
    fmt, contract = fmt or Format(), contract or Contract()
    total, accepted, rejected = 0, [], {}
    for batch in reader(data, fmt, contract, **sizes).batches():
        record = to_record(batch.frame, contract, fmt.null_values)
        verdict = validate(record, contract)
        total += batch.read
        accepted += verdict.accepted.to_dicts()
        for number, _, code in pl.concat([batch.rejects, verdict.rejects]).iter_rows():
            rejected.setdefault(number, []).append(code)
    assert total == len(accepted) + len(rejected)
    assert not rejected.keys() & {row["row_number"] for row in accepted}
    return Judged(total, accepted, rejected)
