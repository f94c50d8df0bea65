"""The vectorised rules never accept what the model does not, nor mean another value by it."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sales_api.v1alpha1 import Rules
from sales_pipeline.rules import accepted
from sales_pipeline.schema import TRUE_WORDS, SalesRecord, check
from tests.support import nasty
from tests.support.sales_file import sale
from tests.support.sales_record import COLUMNS

WITH_LINE = [*COLUMNS, "order_line"]
KEYED = ["customer_key", *(name for name in COLUMNS if name != "customer_email")]
NUMBERS = {"product_rating", "discounted_price", "original_price"}
INTEGERS = {"discount_percentage", "quantity", "order_line"}
DATES = {"delivery_date", "data_collected_at", "order_date"}


def stripped(rows):
    """The rows as the mapping hands them on."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return frame.with_columns(pl.all().str.strip_chars())


def verdicts(frame, rules):
    return frame.select(accepted(frame.columns, rules).fill_null(value=False)).to_series().to_list()


def meaning(name, text):
    """The value that an accepted text stands for, read without the model."""
    if name in NUMBERS:
        return Decimal(text)
    if name in INTEGERS:
        return int(text)
    if name in DATES:
        return date.fromisoformat(text)
    if name == "is_best_seller":
        return text.lower() in TRUE_WORDS
    return text.lower() if name == "customer_email" else text


def model_values(record, names):
    values = {name: getattr(record, name) for name in names}
    if values.get("customer_email"):
        values["customer_email"] = values["customer_email"].lower()
    return values


@settings(max_examples=200)
@given(
    st.sampled_from([COLUMNS, WITH_LINE, KEYED]).flatmap(nasty.row_lists),
    st.builds(Rules, delivery_not_before_order=st.booleans()),
)
def test_rules_accept_only_what_the_model_accepts(rows, rules):
    """For any text in any cell: accepted here, accepted there, and with the same values."""
    frame = stripped(rows)

    for sure, row in zip(verdicts(frame, rules), frame.iter_rows(named=True), strict=True):
        if sure:
            record = check(row, rules)
            assert isinstance(record, SalesRecord)
            assert model_values(record, row) == {n: meaning(n, text) for n, text in row.items()}


@pytest.mark.parametrize("name", [*WITH_LINE, "customer_key"])
def test_rules_accept_only_the_right_words(name):
    """The same for every odd word there is a list of, each in a row that is right otherwise."""
    good = {
        n: v for n, v in sale("ORD-000001").items() if n != "customer_email" or name != KEYED[0]
    }
    frame = stripped([{**good, name: word} for word in nasty.words(name)])
    sure = verdicts(frame, Rules())

    for accepted_here, row in zip(sure, frame.iter_rows(named=True), strict=True):
        found = check(row, Rules())
        if accepted_here:
            assert isinstance(found, SalesRecord)
            assert model_values(found, [name])[name] == meaning(name, row[name])
    assert any(sure)
    assert not all(sure)


mail_parts = st.text("aZ09._%+-'@", max_size=8)
mails = st.one_of(
    st.sampled_from([*nasty.MAILS_RIGHT, *nasty.MAILS_WRONG]),
    st.tuples(
        mail_parts,
        st.lists(st.text("aZ09-_", max_size=34), max_size=9),
        st.sampled_from(nasty.BLANKS),
    ).map(lambda t: f"{t[0]}@{'.'.join([*t[1], 'com'])}{t[2]}"),
    st.tuples(st.integers(60, 66), st.integers(180, 192)).map(
        lambda t: (
            f"{'x' * t[0]}@{('d' * 31 + '.') * 5}{'d' * (t[1] - 163 if t[1] > 163 else 1)}.com"
        )
    ),
)


@settings(max_examples=200)
@given(st.lists(mails, min_size=1, max_size=20))
def test_rules_accept_only_addresses_the_model_accepts(addresses):
    """The pattern for addresses is the one most easily got wrong, so it gets a test of its own."""
    frame = stripped([sale("ORD-000001", customer_email=address) for address in addresses])

    for sure, row in zip(verdicts(frame, Rules()), frame.iter_rows(named=True), strict=True):
        if sure:
            assert check(row, Rules()).customer_email.lower() == row["customer_email"].lower()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("order_id", ["0000000042", "é" * 10]),
        ("customer_email", ["ada@example.com", "Ada.K+x@Sub.Example.com", "o'b@x.co"]),
        ("product_rating", ["1", "4.5", "5.00"]),
        ("original_price", ["0.01", "0.1", "19.99", "99999999.99", "7"]),
        ("discount_percentage", ["0", "7", "100"]),
        ("quantity", ["1", "999999999"]),
        ("is_best_seller", ["true", "FALSE", "Yes", "no", "1", "0"]),
        ("order_date", ["1000-01-01", "2024-02-29", "2999-12-31"]),
        ("customer_address", ["12 Main St\nSpringfield", "x" * 500]),
    ],
)
def test_usual_rows_take_the_fast_way(name, texts):
    """A rule that accepted nothing would be right, and slow."""
    frame = stripped([{**sale("ORD-000001"), name: text} for text in texts])

    assert verdicts(frame, Rules()) == [True] * len(texts)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("order_id", "\x00" * 10),
        ("customer_name", "x" * 256),
        ("customer_email", f"{'x' * 65}@example.com"),
        ("customer_email", "ada@example.com\nx@example.com"),
        ("product_rating", "5.01"),
        ("product_rating", "4.5\n"),
        ("original_price", "0.00"),
        ("original_price", "100000000"),
        ("discount_percentage", "101"),
        ("quantity", "0"),
        ("is_best_seller", f"ye{nasty.LONG_S}"),
        ("order_date", "2024-02-30"),
        ("order_date", "2024-01-31\n"),
        ("customer_phone", None),
    ],
)
def test_wrong_rows_are_left_to_the_model(name, text):
    """One wrong cell is enough."""
    frame = pl.DataFrame([sale("ORD-000001"), {**sale("ORD-000002"), name: text}])

    assert verdicts(frame, Rules()) == [True, False]


def test_delivery_before_order_is_left_to_the_model():
    """Only where the contract asks for it."""
    frame = stripped([sale("ORD-000001", order_date="2024-03-06", delivery_date="2024-03-05")])

    assert verdicts(frame, Rules()) == [True]
    assert verdicts(frame, Rules(delivery_not_before_order=True)) == [False]
