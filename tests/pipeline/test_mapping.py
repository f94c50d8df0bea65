"""The columns of foreign files become the columns of the record, or marks that no rule takes."""

import base64
import hashlib
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sales_api.names import ORDER_LINE, RECORD_COLUMNS
from sales_api.v1alpha1 import ColumnMapping, Contract, Number, Rescale
from sales_pipeline.mapping import (
    CUSTOMER_KEY,
    UNREADABLE,
    iso_date,
    plain_number,
    rescaled,
    short_key,
    to_record,
)
from sales_pipeline.read import ROW_NUMBER
from sales_pipeline.validate import validate
from tests.support.sales_file import sale

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


PLAIN = Number()
COMMA = Number(thousands=",")
GERMAN = Number(decimal=",", thousands=".", strip=["EUR"])
FRENCH = Number(decimal=",", thousands=" ")
SWISS = Number(thousands="'", strip=["CHF", "Fr."])


@pytest.mark.parametrize(
    ("text", "number", "plain"),
    [
        ("12.50", PLAIN, "12.50"),
        ("007", PLAIN, "007"),
        ("$12.50", PLAIN, "12.50"),
        ("12.50 €", PLAIN, "12.50"),
        ("£ 12", PLAIN, "12"),
        ("₹12", PLAIN, "12"),
        ("20%", PLAIN, "20"),
        ("20 %", PLAIN, "20"),
        ("+5", PLAIN, "5"),
        ("-5", PLAIN, "-5"),
        ("5-", PLAIN, "-5"),
        ("- 5", PLAIN, "-5"),
        ("-$5", PLAIN, "-5"),
        ("$-5", PLAIN, "-5"),
        ("(5.00)", PLAIN, "-5.00"),
        ("($5.00)", PLAIN, "-5.00"),
        ("$(5.00)", PLAIN, "-5.00"),
        ("( 5 )", PLAIN, "-5"),
        ("1,234.50", COMMA, "1234.50"),
        ("$1,234,567.89", COMMA, "1234567.89"),
        ("1234.5", COMMA, "1234.5"),
        ("1.234,50", GERMAN, "1234.50"),
        ("(1.234,50 EUR)", GERMAN, "-1234.50"),
        ("EUR 12,5", GERMAN, "12.5"),
        ("1 234,50", FRENCH, "1234.50"),
        ("1\u202f234\xa0567,50\xa0€", FRENCH, "1234567.50"),
        ("1\u2009234", FRENCH, "1234"),
        ("CHF 1'234.50", SWISS, "1234.50"),
        ("Fr. 5", SWISS, "5"),
        # What is not a number so written is never made one.
        ("", PLAIN, None),
        ("abc", PLAIN, None),
        ("$", PLAIN, None),
        ("-", PLAIN, None),
        ("()", PLAIN, None),
        ("1,234.50", PLAIN, None),
        ("1 234", PLAIN, None),
        ("12$50", PLAIN, None),
        ("1%2", PLAIN, None),
        ("12€50", FRENCH, None),
        ("1EUR2", GERMAN, None),
        ("1,23", COMMA, None),
        ("1,2345", COMMA, None),
        ("1234,567", COMMA, None),
        ("1,234,56", COMMA, None),
        (",234", COMMA, None),
        ("1.23", GERMAN, None),
        ("1.234.5", GERMAN, None),
        ("1,2,3", GERMAN, None),
        ("1 23", FRENCH, None),
        ("12 3456", FRENCH, None),
        ("1.5", FRENCH, None),
        ("5.", PLAIN, None),
        (".5", PLAIN, None),
        ("1e3", PLAIN, None),
        ("NaN", PLAIN, None),
        ("0x1F", PLAIN, None),
        ("\uff11\uff12", PLAIN, None),
        ("(5", PLAIN, None),
        ("5)", PLAIN, None),
        ("((5))", PLAIN, None),
        ("(-5)", PLAIN, None),
        ("-(5)", PLAIN, None),
        ("--5", PLAIN, None),
        ("-5-", PLAIN, None),
        ("+5-", PLAIN, None),
        ("5+", PLAIN, None),
        (UNREADABLE, PLAIN, None),
    ],
)
def test_number_formats(text, number, plain):
    """Signs, separators and words are taken where they belong, and nowhere else."""
    assert plain_number(text, number) == (UNREADABLE if plain is None else plain)
    assert mapped([(text or None,)], source="a", number=number) == [
        None if text == "" else UNREADABLE if plain is None else plain
    ]


@given(st.text("0123456789.,-+()$€% 'EUR", max_size=12), st.sampled_from([COMMA, GERMAN, FRENCH]))
def test_no_digit_is_lost_or_gained(text, number):
    """What is read as a number has just the digits of its text, in their order."""
    plain = plain_number(text, number)

    if plain != UNREADABLE:
        assert [c for c in plain if c.isdigit()] == [c for c in text if c.isdigit()]
        assert Decimal(plain).is_finite()


@given(
    st.decimals(min_value=0, max_value=10**9, places=2),
    st.sampled_from([",", ".", " ", "'"]),
    st.sampled_from(["{}", "-{}", "({})", "{}-", "$ {}", "{} %"]),
)
def test_number_written_and_read_is_the_same(value, thousands, shape):
    """Grouped, signed and decorated in any way, the amount comes back exact."""
    decimal = "," if thousands == "." else "."
    whole, _, cents = f"{value:,.2f}".rpartition(".")
    text = shape.format(whole.replace(",", thousands) + decimal + cents)

    plain = plain_number(text, Number(decimal=decimal, thousands=thousands))

    negative = shape in {"-{}", "({})", "{}-"}
    assert Decimal(plain) == (-value if negative else value)


@pytest.mark.parametrize(
    ("text", "formats", "iso"),
    [
        ("31/01/2024", ["%d/%m/%Y"], "2024-01-31"),
        ("1/5/2019", ["%m/%d/%Y"], "2019-01-05"),
        ("20240131", ["%Y-%m-%d", "%Y%m%d"], "2024-01-31"),
        ("05/06/2024", ["%d/%m/%Y", "%m/%d/%Y"], "2024-06-05"),
        ("31 Jan 24", ["%d %b %y"], "2024-01-31"),
        ("2024-01-31T23:59:00+0200", ["%Y-%m-%dT%H:%M:%S%z"], "2024-01-31"),
        ("0999-01-01", ["%Y-%m-%d"], "0999-01-01"),
        ("2024-02-30", ["%Y-%m-%d"], None),
        ("31/01/2024", ["%m/%d/%Y"], None),
        ("2024-01-31", ["%d/%m/%Y"], None),
        ("31/01/2024 ", ["%d/%m/%Y"], None),
        ("x", ["%d/%m/%Y", "%Y-%m-%d"], None),
        ("0000-01-01", ["%Y-%m-%d"], None),
    ],
)
def test_date_formats(text, formats, iso):
    """The first format that fits the whole text decides; a date that is none is none."""
    assert iso_date(text, formats) == (iso or UNREADABLE)


@given(st.dates(), st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %B %Y", "%Y-%j"]))
def test_date_written_and_read_is_the_same(day, fmt):
    """For every day there is."""
    text = day.strftime(fmt.replace("%Y", f"{day.year:04}"))

    assert iso_date(text, ["%H:%M %Y-%m-%d", fmt]) == day.isoformat()
    assert date.fromisoformat(iso_date(text, [fmt])) == day


def scale(low, high, to_low, to_high, decimals=2):
    return Rescale(from_min=low, from_max=high, to_min=to_low, to_max=to_high, decimals=decimals)


@pytest.mark.parametrize(
    ("text", "rescale", "value"),
    [
        ("0", scale("0", "10", "1", "5"), "1.00"),
        ("10", scale("0", "10", "1", "5"), "5.00"),
        ("9.1", scale("0", "10", "1", "5"), "4.64"),
        ("0.125", scale("0", "1", "0", "100", 0), "13"),
        ("0.5", scale("0", "1", "5", "1", 1), "3.0"),
        ("-1", scale("-1", "1", "0", "1"), "0.00"),
        ("1.00005", scale("0", "9", "0", "9", 4), "1.0001"),
        ("0.00499999999999999999", scale("0", "1", "999999998", "999999999"), "999999998.00"),
        ("10.001", scale("0", "10", "1", "5"), None),
        ("-0.1", scale("0", "10", "1", "5"), None),
        ("1e1", scale("0", "10", "1", "5"), None),
        ("NaN", scale("0", "10", "1", "5"), None),
        ("", scale("0", "10", "1", "5"), None),
        ("\uff15", scale("0", "10", "1", "5"), None),
        (UNREADABLE, scale("0", "10", "1", "5"), None),
    ],
)
def test_rescale(text, rescale, value):
    """Linear and half-up; what lies outside the range it comes from is not a value."""
    assert rescaled(text, rescale) == (UNREADABLE if value is None else value)


@given(
    st.decimals(min_value=0, max_value=7, places=12),
    st.decimals(min_value=-(10**8), max_value=10**8, places=6),
    st.decimals(min_value=-(10**8), max_value=10**8, places=6),
    st.integers(0, 4),
)
def test_rescale_is_exact(value, to_low, to_high, decimals):
    """No digit is lost on the way to the one rounding, half away from zero."""
    exact = Fraction(to_low) + Fraction(value) * (Fraction(to_high) - Fraction(to_low)) / 7
    scaled = abs(exact) * 10**decimals
    rounded = int(scaled + Fraction(1, 2)) * (-1 if exact < 0 else 1)

    got = rescaled(f"{value:f}", scale("0", "7", f"{to_low:f}", f"{to_high:f}", decimals))

    assert Decimal(got) * 10**decimals == rounded
    assert Decimal(got) == Decimal(got).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def test_changes_apply_in_the_order_of_the_fields():
    """Null words, default, number, dates, rescaling, padding, truncation."""
    got = mapped(
        [("none",), ("5,0",), ("9,0",)],
        source="a",
        null_values=["none"],
        default="10,0",
        number=Number(decimal=","),
        rescale=scale("0", "10", "0", "100", 1),
        zero_pad=6,
        truncate=4,
    )

    assert got == ["0100", "0050", "0090"]


NOT_A_NUMBER = {"source": "a", "number": Number()}
NOT_A_DATE = {"source": "a", "date_formats": ["%d/%m/%Y"]}
NOT_IN_RANGE = {"source": "a", "rescale": scale("0", "1", "1", "5")}


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
        "quantity": ColumnMapping(constant="1", rescale=scale("0", "1", "1", "5")),
    }
    others = {n: ColumnMapping(constant="1") for n in RECORD_COLUMNS if n not in columns}

    record = to_record(frame(), Contract(columns={**columns, **others}), ["-"])

    assert record.height == 0
    assert set(record.schema.values()) == {pl.Int64, pl.String}
