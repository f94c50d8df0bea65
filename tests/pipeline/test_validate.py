"""A batch is judged as if the model had seen every row of it."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from sales_api.names import RECORD_COLUMNS
from sales_api.v1alpha1 import ColumnMapping, Contract, Rules
from sales_pipeline.read import REJECT_SCHEMA
from sales_pipeline.schema import SalesRecord, check
from sales_pipeline.validate import validate
from tests.support import nasty
from tests.support.sales_file import sale, sales

LINE = {"order_line": ColumnMapping(source="line")}


def contracts(rules):
    return st.sampled_from(
        [
            Contract(rules=rules),
            Contract(rules=rules, columns=LINE),
            Contract(rules=rules, customer_key=["key"]),
        ]
    )


def columns(contract):
    return [*contract.targets(), *(["customer_key"] if contract.customer_key else [])]


@st.composite
def batches(draw):
    contract = draw(contracts(Rules(delivery_not_before_order=draw(st.booleans()))))
    return contract, draw(nasty.row_lists(columns(contract), most=12))


def frame(rows, first=1):
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return table.with_columns(pl.all().str.strip_chars()).insert_column(
        0, pl.int_range(first, first + len(rows), eager=True).alias("row_number")
    )


@settings(max_examples=150)
@given(batches(), st.integers(1, 10**12))
def test_batch_is_judged_as_the_model_judges_each_row(batch, first):
    """The same rows accepted, with the same values; the same codes for the others, in order."""
    contract, rows = batch
    records = frame(rows, first)
    expected, codes = {}, []
    for row in records.iter_rows(named=True):
        number = row.pop("row_number")
        found = check(row, contract.rules)
        if isinstance(found, SalesRecord):
            expected[number] = found
        else:
            codes += [(number, code.field, code.value) for code in found]

    verdict = validate(records, contract)

    assert verdict.rejects.rows() == codes
    got = {row.pop("row_number"): row for row in verdict.accepted.to_dicts()}
    assert list(got) == list(expected)
    # Read once more, the texts are the values; addresses are compared in lower case everywhere.
    for number, row in got.items():
        again = check(row, contract.rules)
        assert lowered(again) == lowered(expected[number])


def lowered(record):
    values = record.model_dump()
    return {**values, "customer_email": (values["customer_email"] or "").lower()}


@given(batches())
def test_no_row_is_lost_or_doubled(batch):
    """Accepted and rejected together are the batch, unchanged where they are rejected."""
    contract, rows = batch
    records = frame(rows)

    verdict = validate(records, contract)

    numbers = [*verdict.accepted["row_number"], *verdict.rejected["row_number"]]
    assert sorted(numbers) == records["row_number"].to_list()
    assert (
        verdict.rejects["row_number"]
        .unique(maintain_order=True)
        .equals(verdict.rejected["row_number"])
    )
    kept = records.filter(pl.col("row_number").is_in(verdict.rejected["row_number"].implode()))
    assert verdict.rejected.equals(kept)
    assert verdict.rejects.schema == REJECT_SCHEMA
    assert verdict.accepted.columns == records.columns


def test_accepted_rows_keep_their_order():
    """Whichever way they were accepted."""
    rows = sales(range(6))
    rows[1]["quantity"], rows[4]["quantity"] = "+7", "0008"

    verdict = validate(frame(rows), Contract())

    assert verdict.accepted["row_number"].to_list() == [1, 2, 3, 4, 5, 6]
    assert verdict.accepted["quantity"].to_list() == ["2", "7", "2", "2", "8", "2"]


def test_batches_without_rows_and_without_faults():
    """Nothing in, nothing out; all right in, all of it out."""
    empty = frame(sales([1])).clear()
    good = frame(sales(range(3)))

    assert validate(empty, Contract()).accepted.columns == ["row_number", *RECORD_COLUMNS]
    assert validate(good, Contract()).accepted.equals(good)
    assert validate(good, Contract()).rejects.is_empty()


def test_rejects_hold_no_values():
    """Number, column, code: that is all the ledger gets to know of a row."""
    rows = [sale("ada@example.com", customer_email="Ada Lovelace", quantity="555-0143")]

    rejects = validate(frame(rows, 17), Contract()).rejects

    assert rejects.rows() == [
        (17, "order_id", "order_id.length"),
        (17, "customer_email", "customer_email.format"),
        (17, "quantity", "quantity.type"),
    ]
