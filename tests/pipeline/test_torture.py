"""Thousands of files nobody would send on purpose: each ends in one of the known ways.

The bytes go through the pure stages, under contracts of several kinds. A file is refused with a
known code, or each of its records is an accepted row or a reject with known codes.
"""

import gzip
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sales_api.v1alpha1 import ColumnMapping, Contract, Format, Number, Privacy
from sales_pipeline.anonymise import Anonymiser, masked_rejects
from sales_pipeline.codes import FileCode, RowCode
from sales_pipeline.errors import PermanentError
from sales_pipeline.mapping import to_record
from sales_pipeline.star import to_star
from sales_pipeline.validate import validate
from tests.support.csv_soup import TOKENS
from tests.support.reading import reader
from tests.support.sales_file import as_csv, sales
from tests.support.sales_record import COLUMNS

HEADER = ",".join(COLUMNS)
GOOD = as_csv(sales(range(3)))
LINES = GOOD.partition(b"\n")[2]
NO_TEXT = [b"\xff", b"\xc3", b"\xe9", b"\x81", b"\x1f\x8b"]
ODD_TEXT = [b"\x00", b"\r", b"\x1c", b"7", b"-", "\ufffd".encode(), "\u2028".encode()]
HEADS = [
    *[HEADER.encode()] * 4,
    HEADER.replace(",", ";").encode(),
    HEADER.replace(",", "\t").encode(),
    HEADER.encode() + b",colour",
    HEADER.encode() + b",quantity",
    b"",
]

text = st.sampled_from(
    [
        *(token.encode() for token in TOKENS),
        *(LINES, LINES, LINES, LINES[:90], b"," * 15 + b"\n", b";" * 15 + b"\n"),
        *ODD_TEXT,
    ]
)
# One piece in many is no text: more, and hardly a file would be read at all.
pieces = st.integers(0, 40).flatmap(lambda n: text if n else st.sampled_from(NO_TEXT))
tails = st.lists(pieces, max_size=25).map(b"".join)


@st.composite
def damaged(draw):
    """A good file with a few bytes of its rows taken out, put in or altered."""
    content = bytearray(GOOD)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(len(HEADER) - 1, len(content)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 40]))
        content[at : at + cut] = draw(pieces)
    return bytes(content)


@st.composite
def soups(draw):
    """A header of ours or none, and anything after it."""
    eol = draw(st.sampled_from([*[b"\n"] * 5, b"\r\n", b"\r"]))
    bom = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"]))
    return bom + draw(st.sampled_from(HEADS)) + eol + draw(tails)


@st.composite
def contents(draw):
    """As it is, in another encoding, compressed, or cut off."""
    content = draw(st.one_of(soups(), damaged()))
    how = draw(st.sampled_from([*["plain"] * 8, "gzip", "utf-16", "cp1252", "noise"]))
    if how == "gzip":
        content = gzip.compress(content, mtime=0)
    elif how in {"utf-16", "cp1252"}:
        content = content.decode("latin-1").encode(how, "ignore")
    elif how == "noise":
        content += draw(st.binary(max_size=40))
    return content[: -draw(st.integers(1, 60))] if draw(st.integers(0, 5)) == 5 else content


FORMATS = [
    *[Format()] * 10,
    Format(drop_blank_rows=True, null_values=["a"]),
    Format(delimiter=","),
    Format(encoding="cp1252", quote="'"),
    Format(skip_lines=1),
    Format(header=False, header_names=COLUMNS),
    Format(header=False, header_names=COLUMNS, delimiter=";"),
]
CONTRACTS = [
    Contract(unknown_columns="Ignore"),
    Contract(),
    Contract(
        unknown_columns="Ignore",
        customer_key=["customer_name", "customer_email"],
        columns={
            "order_id": ColumnMapping(hash_of=["order_id", "quantity"]),
            "order_line": ColumnMapping(source="quantity", default="1"),
            "original_price": ColumnMapping(source="original_price", number=Number(thousands=",")),
            "product_title": ColumnMapping(concat=["product_title", "quantity"], truncate=9),
            "order_date": ColumnMapping(source="order_date", date_formats=["%Y-%m-%d", "%d.%m.%Y"]),
            "quantity": ColumnMapping(source="quantity", number=Number(), zero_pad=3),
        },
    ),
]


@dataclass(frozen=True)
class Ending:
    """How a file ended: refused with a code, or read."""

    code: str = ""
    accepted: tuple[tuple[object, ...], ...] = ()
    rejects: tuple[tuple[object, ...], ...] = ()


def ending(content, fmt, contract, block, piece):
    anonymise = Anonymiser(Privacy(), b"key")
    sales, rejects, last = [], [], 0
    try:
        for batch in reader(content, fmt, contract, block=block, piece=piece).batches():
            verdict = validate(to_record(batch.frame, contract, fmt.null_values), contract)
            found = pl.concat([batch.rejects, verdict.rejects])
            last = hold(batch, verdict, found, last)
            star = to_star(anonymise(verdict.accepted), cost_factor=Decimal("0.6"))
            assert set(star.sales["row_number"]) == set(verdict.accepted["row_number"])
            sales += verdict.accepted.rows()
            rejects += found.rows()
    except PermanentError as error:
        return Ending(FileCode(error.code).value)
    return Ending("", tuple(sales), tuple(sorted(rejects)))


def hold(batch, verdict, rejects, last):
    """No row is lost, doubled or out of order; none without a known code; none that is damaged."""
    rejected, accepted = set(rejects["row_number"]), set(verdict.accepted["row_number"])
    assert batch.read == len(accepted) + len(rejected)
    assert not accepted & rejected
    numbers = accepted | rejected
    assert min(numbers, default=last + 1) > last
    assert set(rejects["code"]) <= set(RowCode)
    assert set(masked_rejects(verdict.rejected, rejects)["row_number"]) == rejected
    for column in verdict.accepted.select(pl.col(pl.String)):
        assert not column.str.contains_any(["\x00", "\ufffd"]).any()
    return max(numbers, default=last)


sizes = st.integers(1, 300)
whole = 1 << 20


@pytest.mark.slow
def test_every_file_ends_in_a_known_way():
    """No crash, no hang, no row lost; and read in one piece it ends in the same way."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=3000,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(contents(), st.sampled_from(FORMATS), st.sampled_from(CONTRACTS), sizes, sizes)
    def one_file(content, fmt, contract, block, piece):
        end = ending(content, fmt, contract, block, piece)
        assert end == ending(content, fmt, contract, whole, whole)
        seen[end.code or ("loaded" if end.accepted else "rejected")] += 1

    one_file()

    # The files were no single kind, else they would have shown little.
    assert seen.total() >= 2000
    assert seen["loaded"] > 300
    assert seen["rejected"] > 100
    assert len(seen) >= 8
