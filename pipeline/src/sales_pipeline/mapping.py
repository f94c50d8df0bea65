"""The columns of a file become the columns of the record, as its contract says.

What the default contract needs is vectorised. The conversions that foreign files ask for (money,
dates, keys, rescaling) are plain functions over one text, applied once to each different value.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from itertools import dropwhile

import polars as pl

from sales_api.v1alpha1 import ColumnMapping, Contract, Number, Rescale
from sales_pipeline.read import ROW_NUMBER

UNREADABLE = "\ufffd"
"""Stands for a value that the contract's format does not fit; no rule of the record takes it."""

CUSTOMER_KEY = "customer_key"
_UNIT_SEPARATOR = "\x1f"
_PRECISION = Context(prec=100)
_KEY_LENGTH = 10


def to_record(frame: pl.DataFrame, contract: Contract, null_values: list[str]) -> pl.DataFrame:
    """The record's columns as stripped text, null where there is no value.

    Args:
        frame: ROW_NUMBER and the columns that the contract reads.
        contract: What becomes of them.
        null_values: Words that mean "no value" in any column.

    Returns:
        `row_number`, the contract's target columns and, if it names one, `customer_key`.
    """
    columns = [
        _column(contract.mapping(target), null_values).alias(target)
        for target in contract.targets()
    ]
    if contract.customer_key:
        columns.append(_customer_key(contract.customer_key, null_values))
    return frame.select(pl.col(ROW_NUMBER).alias("row_number"), *columns)


def _text(name: str, null_values: list[str]) -> pl.Expr:
    text = pl.col(name).str.strip_chars()
    words = ["", *(word.strip() for word in null_values)]
    return pl.when(text.is_in(words)).then(None).otherwise(text)


def _column(mapping: ColumnMapping, null_values: list[str]) -> pl.Expr:
    value = _origin(mapping, [*null_values, *mapping.null_values])
    if default := (mapping.default or "").strip():
        value = value.fill_null(default)
    for convert in _conversions(mapping):
        value = _each(value, convert)
    return _fitted(value, mapping)


def _fitted(value: pl.Expr, mapping: ColumnMapping) -> pl.Expr:
    fitted = value
    if mapping.zero_pad:
        fitted = fitted.str.pad_start(mapping.zero_pad, "0")
    if mapping.truncate:
        fitted = fitted.str.slice(0, mapping.truncate).str.strip_chars()
    if fitted is value:
        return value
    # Zeros before it, or a cut, must not make a value of what is none.
    return pl.when(value == UNREADABLE).then(value).otherwise(fitted)


def _origin(mapping: ColumnMapping, null_values: list[str]) -> pl.Expr:
    if mapping.constant is not None:
        # Not a literal: conversions want a whole column.
        return pl.repeat(mapping.constant.strip() or None, pl.len(), dtype=pl.String)
    if mapping.concat:
        parts = [_text(name, null_values) for name in mapping.concat]
        joined = pl.concat_str(parts, separator=mapping.separator, ignore_nulls=True)
        return pl.when(joined == "").then(None).otherwise(joined)
    if mapping.hash_of:
        return _each(_joined(mapping.hash_of, null_values), short_key)
    return _text(mapping.source or "", null_values)


def _joined(names: list[str], null_values: list[str]) -> pl.Expr:
    """The values as one text, different for different values; null where all are missing."""
    parts = [_text(name, null_values) for name in names]
    joined = pl.concat_str([_escaped(p).fill_null("") for p in parts], separator=_UNIT_SEPARATOR)
    return pl.when(pl.all_horizontal(p.is_null() for p in parts)).then(None).otherwise(joined)


def _escaped(part: pl.Expr) -> pl.Expr:
    kept = part.str.replace_all("\\", r"\\", literal=True)
    return kept.str.replace_all(_UNIT_SEPARATOR, r"\x", literal=True)


def _customer_key(names: list[str], null_values: list[str]) -> pl.Expr:
    return _joined(names, null_values).alias(CUSTOMER_KEY)


def _conversions(mapping: ColumnMapping) -> list[Callable[[str], str]]:
    found: list[Callable[[str], str]] = []
    if (number := mapping.number) is not None:
        found.append(lambda text: plain_number(text, number))
    if formats := mapping.date_formats:
        found.append(lambda text: iso_date(text, formats))
    if (rescale := mapping.rescale) is not None:
        found.append(lambda text: rescaled(text, rescale))
    return found


def _each(value: pl.Expr, convert: Callable[[str], str]) -> pl.Expr:
    """Apply a function to each different value once."""

    def convert_all(series: pl.Series) -> pl.Series:
        texts = series.unique().drop_nulls().to_list()
        converted = pl.Series([convert(text) for text in texts], dtype=pl.String)
        return series.replace_strict(
            pl.Series(texts, dtype=pl.String), converted, default=None, return_dtype=pl.String
        )

    return value.map_batches(convert_all, return_dtype=pl.String)


def short_key(text: str) -> str:
    """A key of 10 characters (60 bits): the same text, the same key."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()[:_KEY_LENGTH]


def plain_number(text: str, number: Number) -> str:
    """`(1.234,50 EUR)` as `-1234.50`; UNREADABLE where it is not a number so written."""
    bare, sign = _bare(text, number.strip), ""
    if bare.startswith("(") and bare.endswith(")"):
        bare, sign = bare[1:-1], "-"
    elif bare.startswith(("+", "-")):
        bare, sign = bare[1:], bare[0].strip("+")
    elif bare.endswith("-"):
        bare, sign = bare[:-1], "-"
    plain = _digits(_bare(bare, number.strip), number)
    return UNREADABLE if plain is None else sign + plain


def _bare(text: str, words: list[str]) -> str:
    """The text without blanks, currency signs, percent signs and `words` at its ends.

    Only there: what stands between digits is part of the number, or makes it none.
    """
    bare, before = text, ""
    while bare != before:
        before = bare
        for word in words:
            bare = bare.removeprefix(word).removesuffix(word)
        bare = "".join(dropwhile(_is_no_figure, bare))
        bare = "".join(dropwhile(_is_no_figure, reversed(bare)))[::-1]
    return bare


def _is_no_figure(character: str) -> bool:
    return character == "%" or unicodedata.category(character) in {"Sc", "Zs"}


def _digits(text: str, number: Number) -> str | None:
    # A thousands separator counts only where it parts thousands: "1,23" under "," is not 123.
    whole, point, fraction = text.partition(number.decimal)
    blank = number.thousands == " "
    separator = "[ \xa0\u2009\u202f]" if blank else re.escape(number.thousands)
    if number.thousands and re.fullmatch(rf"[0-9]{{1,3}}({separator}[0-9]{{3}})+", whole):
        whole = re.sub(separator, "", whole)
    if not re.fullmatch("[0-9]+", whole) or (point and not re.fullmatch("[0-9]+", fraction)):
        return None
    return whole + point.replace(",", ".") + fraction


def iso_date(text: str, formats: list[str]) -> str:
    """The date in ISO 8601, by the first format that fits; UNREADABLE where none does."""
    for fmt in formats:
        try:
            return datetime.strptime(text, fmt).date().isoformat()  # noqa: DTZ007 - a plain date
        except ValueError:
            continue
    return UNREADABLE


def rescaled(text: str, rescale: Rescale) -> str:
    """A number mapped from one range to another; UNREADABLE where it is none or lies outside."""
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text):
        return UNREADABLE
    low, high = Decimal(rescale.from_min), Decimal(rescale.from_max)
    to_low, to_high = Decimal(rescale.to_min), Decimal(rescale.to_max)
    if not low <= (value := Decimal(text)) <= high:
        return UNREADABLE
    with localcontext(_PRECISION):
        mapped = to_low + (value - low) * (to_high - to_low) / (high - low)
        return str(mapped.quantize(Decimal(1).scaleb(-rescale.decimals), ROUND_HALF_UP))
