"""The columns of foreign files become the columns of the record, or marks that no rule takes."""

import base64
import hashlib

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sales_api.names import ORDER_LINE, RECORD_COLUMNS
from sales_api.v1alpha1 import ColumnMapping, Contract, Number, Rescale
from sales_pipeline.mapping import (
    CUSTOMER_KEY,
    UNREADABLE,
    short_key,
    to_record,
)
from sales_pipeline.read import ROW_NUMBER
from sales_pipeline.validate import validate
from tests.support.sales_file import sale

UNIT = Rescale(from_min="0", from_max="1", to_min="1", to_max="5")
texts = st.text('ab01 ,.\\\x1f\x1e"é\ufffd', max_size=4)


def frame(*rows):
    """A batch of the columns a, b and so on."""
    names = "abcdef"[: len(rows[0])] if rows else "ab"
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    numbers = {ROW_NUMBER: list(range(1, len(rows) + 1))}
    schema = {ROW_NUMBER: pl.Int64(), **dict.fromkeys(names, pl.String())}
    return pl.DataFrame({**numbers, **columns}, schema=schema)


def mapped(rows, words=(), target="product_title", **mapping):
    """One column of the record, made of some rows of a file with such null words."""
    contract = contract_of(target, **mapping)
    return to_record(frame(*rows), contract, list(words))[target].to_list()


def contract_of(target, **mapping):
    constants = {name: ColumnMapping(constant=value) for name, value in sale("0123456789").items()}
    reads = {"customer_phone": ColumnMapping(source="a", default="-")}
    return Contract(columns={**constants, **reads, target: ColumnMapping(**mapping)})


def codes(rows, target, **mapping):
    """What is wrong with the first row, everything else being right."""
    contract = contract_of(target, **mapping)
    verdict = validate(to_record(frame(*rows), contract, []), contract)
    return verdict.rejects["code"].to_list()


def test_default_contract_takes_columns_by_name():
    """Sixteen columns in their order, stripped, and null where there is nothing in them."""
    row = sale("0123456789", customer_name=" Ada\u00a0", product_title=" \t")
    names = {ROW_NUMBER: [7], **{name: [value] for name, value in reversed(row.items())}}

    record = to_record(pl.DataFrame(names), Contract(), [])

    assert record.columns == ["row_number", *RECORD_COLUMNS]
    values = record.row(0, named=True)
    assert values == {
        **row,
        "row_number": 7,
        "customer_name": "Ada",
        "product_title": None,
    }


def test_order_line_is_there_where_it_is_mapped():
    """The seventeenth column comes last."""
    contract = contract_of(ORDER_LINE, source="b")

    record = to_record(frame(("x", "3")), contract, [])

    assert record.columns[-1] == ORDER_LINE
    assert record[ORDER_LINE].to_list() == ["3"]


def test_rename():
    """A column of the file under another name."""
    assert mapped([("x", " y ")], source="b") == ["y"]


@pytest.mark.parametrize("rows", [[], [("1",)], [("1",), ("2",)]])
def test_constant_is_the_same_in_every_row(rows):
    """In a batch of any size, the empty one too, and stripped like any text."""
    assert mapped(rows, constant=" x ") == ["x"] * len(rows)
    assert mapped(rows, constant=" ") == [None] * len(rows)


def test_constant_is_converted_like_any_value():
    """What follows the origin applies to a constant as well."""
    number = Number(decimal=",")

    assert mapped([("1",)] * 2, constant="5,5", number=number, zero_pad=5) == ["005.5"] * 2
    assert mapped([], constant="5,5", number=number) == []
    assert mapped([("1",)], constant="odd", number=number) == [UNREADABLE]


def test_concat_leaves_out_what_is_missing():
    """No separator stands where there is nothing to separate."""
    rows = [("Ada", "Lovelace"), (" Ada ", None), (None, " "), ("", "Lovelace")]

    assert mapped(rows, concat=["a", "b"]) == ["Ada Lovelace", "Ada", None, "Lovelace"]
    assert mapped(rows[:1], concat=["b", "a"], separator=", ") == ["Lovelace, Ada"]
    assert mapped(rows[:1], concat=["a", "b"], separator="") == ["AdaLovelace"]


def test_hash_key_is_stable_and_of_ten_characters():
    """The same values give the same key today and tomorrow, in this row and in that."""
    rows = [("10100", "2"), ("10100", "2"), ("10100", None), (None, None), (" 10100 ", "2")]

    keys = mapped(rows, target="order_id", hash_of=["a", "b"])

    digest = hashlib.sha256(b"10100\x1f2").digest()
    assert keys[0] == base64.urlsafe_b64encode(digest).decode()[:10]
    assert keys[0] == keys[1] == keys[4] == short_key("10100\x1f2")
    assert len({keys[0], keys[2]}) == 2
    assert keys[3] is None
    assert codes(rows, "order_id", hash_of=["a", "b"]) == ["order_id.missing"]


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8))
@example([("a\x1fb", "c"), ("a", "b\x1fc")])
@example([("\\x", ""), ("\x1f", ""), ("\\\x1f", ""), ("\\\\x", "")])
def test_keys_differ_exactly_where_values_differ(rows):
    """Whatever characters are in the values: no separator of ours can be forged."""
    stripped = pl.DataFrame(rows, orient="row", schema=["a", "b"]).select(
        pl.all().str.strip_chars()
    )
    values = [row if any(row) else None for row in stripped.iter_rows()]

    keys = mapped(rows, target="order_id", hash_of=["a", "b"])

    assert [key is None for key in keys] == [value is None for value in values]
    assert len(set(keys)) == len(set(values))


def test_customer_key_stands_for_an_address():
    """Files without e-mail name the columns that identify a customer."""
    contract = Contract(
        columns={
            name: ColumnMapping(constant="1") for name in RECORD_COLUMNS if "email" not in name
        },
        customer_key=["a", "b"],
    )

    record = to_record(frame(("ACME", "7"), ("ACME", ""), (None, None)), contract, [])

    assert "customer_email" not in record.columns
    assert record[CUSTOMER_KEY].to_list() == ["ACME\x1f7", "ACME\x1f", None]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "customer_key.missing"),
        ("x" * 4097, "customer_key.length"),
        ("x\ufffd", "customer_key.characters"),
        ("x\x00", "customer_key.characters"),
    ],
)
def test_customer_key_that_identifies_nobody(key, code):
    """It is judged like the other columns, and has codes of its own."""
    row = {name: value for name, value in sale("0123456789").items() if name != "customer_email"}
    contract = Contract(customer_key=["key"])
    columns = {ROW_NUMBER: [1], **{name: [value] for name, value in row.items()}, "key": [key]}
    schema = {"key": pl.String}

    record = to_record(pl.DataFrame(columns, schema_overrides=schema), contract, [])

    assert validate(record, contract).rejects["code"].to_list() == [code]


def test_zero_pad():
    """Leading zeros that a spreadsheet has eaten come back; longer values stay."""
    rows = [("7",), ("12345678901",), (None,), ("né",)]

    assert mapped(rows, source="a", zero_pad=10) == [
        "0000000007",
        "12345678901",
        None,
        "00000000né",
    ]


def test_truncate():
    """By characters, and without a blank at the new end."""
    assert mapped([("é" * 300,), ("ab cd",), (None,)], source="a", truncate=3) == [
        "ééé",
        "ab",
        None,
    ]


def test_null_words_and_default():
    """Words of the column and of the whole file mean no value; a default stands in for it."""
    rows = [("N/A",), (" - ",), ("n/a",), ("x",), (None,)]
    words = {"source": "a", "null_values": [" - "]}

    assert mapped(rows, ["N/A"], **words) == [None, None, "n/a", "x", None]
    assert mapped(rows, ["N/A"], **words, default=" none ") == ["none", "none", "n/a", "x", "none"]
    assert mapped(rows, ["N/A"], **words, default=" ") == [None, None, "n/a", "x", None]


def test_default_is_converted_like_any_value():
    """It is written as the file would write it."""
    rows = [(None,), ("1,5",)]

    got = mapped(rows, source="a", default="0,5", number=Number(decimal=","))

    assert got == ["0.5", "1.5"]


def test_changes_apply_in_the_order_of_the_fields():
    """Null words, default, number, dates, rescaling, padding, truncation."""
    got = mapped(
        [("none",), ("5,0",), ("9,0",)],
        source="a",
        null_values=["none"],
        default="10,0",
        number=Number(decimal=","),
        rescale=Rescale(from_min="0", from_max="10", to_min="0", to_max="100", decimals=1),
        zero_pad=6,
        truncate=4,
    )

    assert got == ["0100", "0050", "0090"]


NOT_A_NUMBER = {"source": "a", "number": Number()}
NOT_A_DATE = {"source": "a", "date_formats": ["%d/%m/%Y"]}
NOT_IN_RANGE = {"source": "a", "rescale": UNIT}


@pytest.mark.parametrize("mapping", [NOT_A_NUMBER, NOT_A_DATE, NOT_IN_RANGE])
@pytest.mark.parametrize("shape", [{}, {"zero_pad": 10}, {"zero_pad": 10, "truncate": 3}])
@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("order_id", "characters"),
        ("customer_name", "characters"),
        ("customer_email", "format"),
        ("customer_phone", "characters"),
        ("customer_address", "characters"),
        ("product_title", "characters"),
        ("product_category", "characters"),
        ("product_rating", "type"),
        ("discounted_price", "type"),
        ("original_price", "type"),
        ("discount_percentage", "type"),
        ("quantity", "type"),
        ("order_line", "type"),
        ("is_best_seller", "type"),
        ("delivery_date", "format"),
        ("data_collected_at", "format"),
        ("order_date", "format"),
    ],
)
def test_unreadable_value_is_rejected_in_every_column(target, kind, shape, mapping):
    """Nothing that follows an unreadable value, padding or a cut, makes a value of it."""
    assert codes([("odd",)], target, **mapping, **shape) == [f"{target}.{kind}"]


def test_batch_without_rows():
    """Every kind of mapping works on no rows at all."""
    columns = {
        "order_id": ColumnMapping(hash_of=["a", "b"]),
        "customer_name": ColumnMapping(concat=["a", "b"], truncate=5),
        "original_price": ColumnMapping(source="a", number=Number()),
        "order_date": ColumnMapping(source="a", date_formats=["%Y%m%d"]),
        "quantity": ColumnMapping(constant="1", rescale=UNIT),
    }
    others = {n: ColumnMapping(constant="1") for n in RECORD_COLUMNS if n not in columns}

    record = to_record(frame(), Contract(columns={**columns, **others}), ["-"])

    assert record.height == 0
    assert set(record.schema.values()) == {pl.Int64, pl.String}
