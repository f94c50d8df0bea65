import csv
import io
from collections import Counter

import polars as pl
import pytest

from sales_pipeline.generate import GenerateSpec, Tally, generated_file, iter_csv
from sales_pipeline.generate_errors import ErrorKind
from tests.support.sales_record import broken_rules, records

BROKEN_BY = {
    ErrorKind.BAD_EMAIL: "customer_email",
    ErrorKind.SHORT_ORDER_ID: "order_id",
    ErrorKind.RATING_OUT_OF_RANGE: "product_rating",
    ErrorKind.NEGATIVE_PRICE: "discounted_price",
    ErrorKind.TOO_MANY_DECIMALS: "original_price",
    ErrorKind.DISCOUNT_OUT_OF_RANGE: "discount_percentage",
    ErrorKind.BAD_BOOLEAN: "is_best_seller",
    ErrorKind.BAD_DATE: "order_date",
    ErrorKind.MISSING_NAME: "customer_name",
    ErrorKind.ZERO_QUANTITY: "quantity",
    ErrorKind.BLANK_TITLE: "product_title",
    ErrorKind.TOO_FEW_FIELDS: "too few fields",
    ErrorKind.TOO_MANY_FIELDS: "too many fields",
    ErrorKind.STRAY_QUOTE: "quoting",
}
KIND_OF = {what: kind for kind, what in BROKEN_BY.items()}


def whole(spec: GenerateSpec, file_index: int = 0) -> bytes:
    return b"".join(iter_csv(spec, file_index, Tally()))


@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_breaks_what_it_says(kind):
    """Every row of a wholly bad file breaks the one rule of its kind and no other."""
    content = whole(GenerateSpec(rows=300, error_rate=1, error_kinds=(kind,)))
    broken = [broken_rules(text, cells) for text, cells in records(content)]

    assert broken == [{BROKEN_BY[kind]}] * 300


@pytest.mark.parametrize(
    "kind", [ErrorKind.STRAY_QUOTE, ErrorKind.TOO_FEW_FIELDS, ErrorKind.TOO_MANY_FIELDS]
)
def test_a_broken_record_ends_with_its_line(kind):
    """Where such a record ends is a reader's guess; here all guesses must lose this one alone."""
    content = whole(GenerateSpec(rows=300, error_rate=1, error_kinds=(kind,)))

    assert content.count(b"\n") == 301


def test_a_stray_quote_is_refused_by_a_strict_reader():
    """It is an error by RFC 4180 in every record, not text that happens to have a quote in it."""
    spec = GenerateSpec(rows=300, error_rate=1, error_kinds=(ErrorKind.STRAY_QUOTE,))

    for line in whole(spec).decode().splitlines()[1:]:
        with pytest.raises(csv.Error):
            next(csv.reader([line], strict=True))


def test_a_stray_quote_makes_polars_refuse_the_file():
    """The trap is real: the fast reader fails on such a file as a whole."""
    spec = GenerateSpec(rows=1, error_rate=1, error_kinds=(ErrorKind.STRAY_QUOTE,))
    content = whole(spec) + whole(GenerateSpec(rows=200)).partition(b"\n")[2]

    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_csv(io.BytesIO(content), infer_schema=False)


def test_errors_are_counted_exactly():
    """What the tally says of each kind is what a second look finds, row by row."""
    spec = GenerateSpec(rows=5_000, error_rate=0.3, seed=3)
    tally = Tally()
    content = b"".join(iter_csv(spec, 0, tally))
    found = [broken_rules(text, cells) for text, cells in records(content)]
    made = generated_file(spec, 0, tally)

    assert Counter(KIND_OF[what] for broken in found for what in broken) == made.by_kind
    assert max(map(len, found)) == 1
    assert set(made.by_kind) == set(ErrorKind)
    assert (made.rows, made.bad_rows) == (5_000, sum(map(len, found)))
    assert made.good_rows + made.bad_rows == made.rows
    assert 0.27 < made.bad_rows / made.rows < 0.33


def test_no_errors_are_counted_where_there_are_none():
    """A clean file has an empty tally of errors."""
    spec, tally = GenerateSpec(rows=50), Tally()
    content = b"".join(iter_csv(spec, 0, tally))

    assert generated_file(spec, 0, tally).by_kind == {}
    assert (tally.rows, tally.size_bytes) == (50, len(content))
