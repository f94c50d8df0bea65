"""Errors on purpose: a known number of rows, each broken in one known way.

Which rows, and how, follows from the seed and the row's number, as the rows themselves do. What
was broken is a column of the chunk, so it can be counted where it was done and held against what
the pipeline says it found.
"""

from collections.abc import Sequence
from enum import StrEnum
from io import BytesIO

import polars as pl

from sales_api.names import RECORD_COLUMNS
from sales_pipeline.generate_rows import mixed, salted

PARTS_PER_MILLION = 1_000_000
ERROR = "error"
"""The column that names a row's error; null in a good row."""


class ErrorKind(StrEnum):
    """The one way in which a bad row is bad."""

    BAD_EMAIL = "bad_email"
    SHORT_ORDER_ID = "short_order_id"
    RATING_OUT_OF_RANGE = "rating_out_of_range"
    NEGATIVE_PRICE = "negative_price"
    TOO_MANY_DECIMALS = "too_many_decimals"
    DISCOUNT_OUT_OF_RANGE = "discount_out_of_range"
    BAD_BOOLEAN = "bad_boolean"
    BAD_DATE = "bad_date"
    MISSING_NAME = "missing_name"
    ZERO_QUANTITY = "zero_quantity"
    BLANK_TITLE = "blank_title"
    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"
    STRAY_QUOTE = "stray_quote"


_KINDS = pl.Enum(ErrorKind)


def with_errors(
    rows: pl.DataFrame, share: float, kinds: Sequence[ErrorKind], seed: int
) -> pl.DataFrame:
    """The same rows in the same order, some of them broken, and the column `error`."""
    named = rows.with_columns(_error(share, kinds, seed).alias(ERROR))
    good = named.filter(pl.col(ERROR).is_null())
    bad = named.filter(pl.col(ERROR).is_not_null()).with_columns(**_broken_cells())
    return pl.concat([good, bad]).sort("row")


def as_csv(rows: pl.DataFrame) -> bytes:
    """The rows' lines; the last two cells are joined here, where one of them can be left out."""
    category, quantity = pl.col(RECORD_COLUMNS[-2]), pl.col(RECORD_COLUMNS[-1])
    short = pl.col(ERROR).eq_missing(pl.lit(ErrorKind.TOO_FEW_FIELDS, dtype=_KINDS))
    both = pl.concat_str(category, quantity, separator=",")
    tail = pl.when(short).then(category).otherwise(both).alias("tail")
    out = BytesIO()
    rows.select(*RECORD_COLUMNS[:-2], tail).write_csv(
        out, include_header=False, quote_style="never"
    )
    return out.getvalue()


def count_errors(rows: pl.DataFrame) -> dict[ErrorKind, int]:
    """How many rows of each kind of error there are."""
    bad = rows[ERROR].drop_nulls().value_counts()
    return {ErrorKind(kind): count for kind, count in bad.iter_rows()}


def _error(share: float, kinds: Sequence[ErrorKind], seed: int) -> pl.Expr:
    """One mix decides whether; another, of the same row, which."""
    row, whether, which = pl.col("row"), salted(seed, 3), salted(seed, 4)
    hit = mixed(row, whether) % PARTS_PER_MILLION < round(share * PARTS_PER_MILLION)
    names = pl.Series(values=list(kinds), dtype=_KINDS)
    return pl.when(hit).then(pl.lit(names).gather(mixed(row, which) % len(kinds)))


def _broken_cells() -> dict[str, pl.Expr]:
    """By column: the cell, or what is left of it in a row with one of the column's errors."""
    cells: dict[str, pl.Expr] = {}
    for kind, column, broken in _breakages():
        hit = pl.col(ERROR) == pl.lit(kind, dtype=_KINDS)
        cells[column] = pl.when(hit).then(broken).otherwise(cells.get(column, pl.col(column)))
    return cells


def _breakages() -> tuple[tuple[ErrorKind, str, pl.Expr], ...]:
    """What each kind does to which column; `as_csv` sees to the row with too few.

    A record that is broken as a record has its address on one line: where a broken record ends
    is each reader's guess, and all guess alike when it ends with its first line. The stray quote
    is an inch sign that someone quoted without doubling it.
    """
    cell, kind = pl.col, ErrorKind
    mail = cell("customer_email").str.replace("@", " at ", literal=True)
    bad_date = cell("order_date").str.slice(0, 5) + pl.lit("02-30")
    high_discount = pl.lit("1") + cell("discount_percentage").str.zfill(2) + pl.lit("5")
    one_line = cell("customer_address").str.replace("\n", " ", literal=True)
    bare_title = cell("product_title").str.replace_all('"', "", literal=True)
    open_title = pl.lit('"') + bare_title + pl.lit(' 10" wide"')
    return (
        (kind.BAD_EMAIL, "customer_email", mail),
        (kind.SHORT_ORDER_ID, "order_id", cell("order_id").str.slice(0, 9)),
        (kind.RATING_OUT_OF_RANGE, "product_rating", pl.lit("1") + cell("product_rating")),
        (kind.NEGATIVE_PRICE, "discounted_price", pl.lit("-") + cell("discounted_price")),
        (kind.TOO_MANY_DECIMALS, "original_price", cell("original_price") + pl.lit("7")),
        (kind.DISCOUNT_OUT_OF_RANGE, "discount_percentage", high_discount),
        (kind.BAD_BOOLEAN, "is_best_seller", pl.lit("perhaps")),
        (kind.BAD_DATE, "order_date", bad_date),
        (kind.MISSING_NAME, "customer_name", pl.lit("")),
        (kind.ZERO_QUANTITY, "quantity", pl.lit("0")),
        (kind.BLANK_TITLE, "product_title", pl.lit("   ")),
        (kind.TOO_FEW_FIELDS, "customer_address", one_line),
        (kind.TOO_MANY_FIELDS, "customer_address", one_line),
        (kind.TOO_MANY_FIELDS, "quantity", cell("quantity") + pl.lit(",surplus")),
        (kind.STRAY_QUOTE, "product_title", open_title),
        (kind.STRAY_QUOTE, "customer_address", one_line),
    )
