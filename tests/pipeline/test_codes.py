"""Every code there is comes from some file, is named as it should be, and is explained."""

import gzip
import re
from pathlib import Path

import pytest

from sales_api.v1alpha1 import ColumnMapping, Contract, Format, Quality, Rules
from sales_pipeline.codes import FileCode, RowCode
from sales_pipeline.gate import breach
from tests.support.reading import judge, refusal
from tests.support.sales_file import as_csv, sale
from tests.support.sales_record import COLUMNS

GOOD = sale("ORD-000001")
HEADER = ",".join(COLUMNS).encode()
DOCUMENT = Path(__file__).parents[2] / "docs" / "codes.md"


def file_of(**cells):
    """A file of one row of which some cells are not as they should be."""
    return as_csv([{**GOOD, **cells}])


def raw(record):
    return HEADER + b"\n" + record + b"\n"


TEXTS = {
    "order_id": "X" * 11,
    "customer_name": "x" * 256,
    "customer_phone": "1" * 51,
    "customer_address": "x" * 501,
    "product_title": "x" * 501,
    "product_category": "x" * 101,
}
DECIMALS = {"product_rating": "5.01", "discounted_price": "0", "original_price": "100000000"}
DATES = ["delivery_date", "data_collected_at", "order_date"]
LINE = Contract(columns={"order_line": ColumnMapping(source="quantity")})
KEYED = Contract(
    customer_key=["customer_phone"],
    columns={"customer_phone": ColumnMapping(constant="-")},
    unknown_columns="Ignore",
)
IN_TIME = Contract(rules=Rules(delivery_not_before_order=True))

ROWS = {
    "row.blank": raw(b"," * 15),
    "row.too_few_fields": raw(b"ORD-000001,Ada"),
    "row.too_many_fields": raw(b"x," * 20),
    "row.malformed": raw(b'"ORD-000001" X,Ada'),
    **{f"{name}.missing": file_of(**{name: ""}) for name in COLUMNS},
    **{f"{name}.length": file_of(**{name: text}) for name, text in TEXTS.items()},
    **{f"{name}.characters": file_of(**{name: "x\x00" * 5}) for name in TEXTS},
    **{f"{name}.type": file_of(**{name: "1,0"}) for name in DECIMALS},
    **{f"{name}.scale": file_of(**{name: "1.001"}) for name in DECIMALS},
    **{f"{name}.range": file_of(**{name: text}) for name, text in DECIMALS.items()},
    **{f"{name}.format": file_of(**{name: "2024-02-30"}) for name in DATES},
    "customer_email.format": file_of(customer_email="ada@"),
    "discount_percentage.type": file_of(discount_percentage="20%"),
    "discount_percentage.range": file_of(discount_percentage="101"),
    "is_best_seller.type": file_of(is_best_seller="perhaps"),
    "quantity.type": file_of(quantity="2.0"),
    "quantity.range": file_of(quantity="0"),
}
MAPPED_ROWS = {
    "order_line.missing": (LINE, "quantity", "", {"quantity.missing"}),
    "order_line.type": (LINE, "quantity", "x", {"quantity.type"}),
    "order_line.range": (LINE, "quantity", "0", {"quantity.range"}),
    "customer_key.missing": (KEYED, "customer_phone", "", set()),
    "customer_key.length": (KEYED, "customer_phone", "x" * 4097, set()),
    "customer_key.characters": (KEYED, "customer_phone", "\x00", set()),
    "delivery_date.before_order": (IN_TIME, "delivery_date", "2024-03-01", set()),
}
FILES = {
    "file.empty": (b"", None),
    "file.encoding": (file_of(customer_name="\xe9").decode().encode("latin-1"), None),
    "file.compression": (gzip.compress(file_of())[:-1], None),
    "file.dialect": (b"1;2\n", Format(header=False, header_names=COLUMNS)),
    "file.columns_missing": (HEADER.replace(b",quantity", b"") + b"\n", None),
    "file.columns_unknown": (HEADER + b",colour\n", None),
    "file.columns_duplicate": (HEADER + b",quantity\n", None),
}


@pytest.mark.parametrize(("code", "content"), ROWS.items())
def test_row_code_has_a_row(code, content):
    """One thing is wrong with it, and this code and no other tells what."""
    assert judge(content).rejected == {1: [code]}


@pytest.mark.parametrize("code", MAPPED_ROWS)
def test_row_code_of_a_contract_has_a_row(code):
    """The same for what only some contracts ask for."""
    contract, column, text, others = MAPPED_ROWS[code]

    rejected = judge(file_of(**{column: text}), contract=contract).rejected

    assert set(rejected[1]) == {code, *others}


@pytest.mark.parametrize("code", FILES)
def test_file_code_has_a_file(code):
    """It is refused as a whole, with this code."""
    content, fmt = FILES[code]

    assert refusal(content, fmt).code == code


def test_rejected_rows_has_a_gate():
    """The one code that takes a look at all rows first."""
    error = breach(Quality(max_rejected_rows=0), 2, 1, where="raw/x.csv")

    assert error.code == "file.rejected_rows"


def test_every_code_is_among_the_examples():
    """A new code needs a row or a file that has it."""
    assert {*ROWS, *MAPPED_ROWS} == set(RowCode)
    assert {*FILES, "file.rejected_rows"} == set(FileCode)


def test_codes_name_their_column():
    """`field.kind`, of a column of the record or of the row as a whole."""
    fields = {"row", "customer_key", "order_line", *COLUMNS}

    for code in RowCode:
        assert code.field in fields
        assert code.value == f"{code.field}.{code.value.split('.')[1]}"
        assert code.name == code.value.upper().replace(".", "_")
    for code in FileCode:
        assert code.value == f"file.{code.name.lower()}"


def test_every_code_is_explained():
    """The page of codes has a line for each, and none for a code that is not."""
    explained = re.findall(
        r"^\| `([a-z_]+\.[a-z_]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE
    )
    own = [
        code for code in explained if code.split(".")[0] in {"file", *(c.field for c in RowCode)}
    ]

    assert sorted(own) == sorted([*RowCode, *FileCode])
