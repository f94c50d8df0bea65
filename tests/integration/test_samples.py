"""Three public sales files, each of another shape, through the contracts of manifests/samples."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest

from sales_api.report import Fate
from sales_pipeline.ingest_file import read_ingest
from tests.support.platform import ROOT

pytestmark = pytest.mark.integration

Row = dict[str, str]

TOTALS = """
SELECT count(*), sum(quantity), sum(discounted_price * quantity), sum(profit * quantity),
    count(DISTINCT product_title), count(DISTINCT product_category),
    count(DISTINCT f.customer_id), min(d.date), max(d.date)
FROM fact_sales AS f JOIN dim_product USING (product_id)
JOIN dim_date AS d ON d.date_id = f.order_date_id
"""


@dataclass(frozen=True)
class Sample:
    """A file, and how to read it without the pipeline."""

    file: str
    order: Callable[[Row], tuple[str, ...]]
    customer: Callable[[Row], tuple[str, ...]]
    product: Callable[[Row], tuple[str, str]]
    """Title and category."""
    day: Callable[[Row], date]
    price: str
    original_price: str
    quantity: Callable[[Row], int]


def american(text):
    month, day, year = map(int, text.split("/"))
    return date(year, month, day)


SAMPLES = {
    "classic-models": Sample(
        file="classic_models_iso.csv",
        order=lambda row: (row["ORDERNUMBER"], row["ORDERLINENUMBER"]),
        customer=lambda row: (row["CUSTOMERNAME"], row["PHONE"]),
        product=lambda row: (row["PRODUCTCODE"], row["PRODUCTLINE"]),
        day=lambda row: date.fromisoformat(row["ORDERDATE"]),
        price="PRICEEACH",
        original_price="MSRP",
        quantity=lambda row: int(row["QUANTITYORDERED"]),
    ),
    "supermarket": Sample(
        file="supermarket.csv",
        order=lambda row: (row["Invoice ID"],),
        customer=lambda row: (row["Branch"], row["Customer type"], row["Gender"]),
        product=lambda row: (row["Product line"], row["Product line"]),
        day=lambda row: american(row["Date"]),
        price="Unit price",
        original_price="Unit price",
        quantity=lambda row: int(row["Quantity"]),
    ),
    "ecommerce": Sample(
        file="ecommerce_purchases_pii_quoted_newlines.csv",
        order=lambda row: (row["Email"], row["IP Address"], row["Purchase Price"], row["Lot"]),
        customer=lambda row: (row["Email"].lower(),),
        product=lambda row: ("Online purchase", row["Language"]),
        day=lambda _: date(2024, 1, 31),
        price="Purchase Price",
        original_price="Purchase Price",
        quantity=lambda _: 1,
    ),
}


def rows_of(sample):
    with (ROOT / "tests" / "data" / "sales" / sample.file).open(newline="") as file:
        return list(csv.DictReader(file))


def profit(sample, row):
    exact = Decimal(row[sample.price]) - Decimal("0.6") * Decimal(row[sample.original_price])
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP) * sample.quantity(row)


def totals(sample, rows):
    """The same numbers as TOTALS, by the csv module and decimal arithmetic alone."""
    return (
        len({sample.order(row) for row in rows}),
        sum(map(sample.quantity, rows)),
        sum(Decimal(row[sample.price]) * sample.quantity(row) for row in rows),
        sum(profit(sample, row) for row in rows),
        len({sample.product(row)[0] for row in rows}),
        len({sample.product(row)[1] for row in rows}),
        len({sample.customer(row) for row in rows}),
        min(map(sample.day, rows)),
        max(map(sample.day, rows)),
    )


@pytest.fixture
def load(platform):
    """Load a sample through its manifest; tells the platform and the result."""

    def run(name):
        request = read_ingest(ROOT / "manifests" / "samples" / f"{name}.yaml", run="sample")
        source = request.source.model_copy(update={"bucket": platform.bucket})
        body = (ROOT / "tests" / "data" / "sales" / SAMPLES[name].file).read_bytes()
        platform.put(f"{source.prefix}{SAMPLES[name].file}", body)
        (result,) = platform.run(request.model_copy(update={"source": source}))
        return platform, result

    return run


@pytest.mark.parametrize("name", SAMPLES)
def test_totals(load, name):
    """Every row arrives, and the sums are those of the file to the cent."""
    sample = SAMPLES[name]
    rows = rows_of(sample)
    platform, result = load(name)
    assert len(rows) == 60
    assert (result.fate, result.rows.read, result.rows.rejected) == (Fate.LOADED, 60, 0)
    assert result.rows.deduplicated == 60 - len({sample.order(row) for row in rows})
    assert platform.query(TOTALS) == [totals(sample, rows)]
    assert [key.split("/")[:2] for key in platform.listing()] == [["processed", name]]


def test_a_rescaled_rating(load):
    """Ratings from 0 to 10 become ratings from 1 to 5, half-up to two places."""
    platform, _ = load("supermarket")
    newest = {}
    for row in sorted(rows_of(SAMPLES["supermarket"]), key=SAMPLES["supermarket"].day):
        exact = 1 + Decimal(row["Rating"]) * 4 / 10
        newest[row["Product line"]] = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    ratings = dict(platform.query("SELECT product_title, product_rating FROM dim_product"))
    assert ratings == newest


def test_lines_of_an_order(load):
    """Several lines of one order are facts of their own."""
    platform, _ = load("classic-models")
    found = platform.query("SELECT order_id, order_line FROM fact_sales ORDER BY 1, 2")
    rows = rows_of(SAMPLES["classic-models"])
    expected = {(row["ORDERNUMBER"].zfill(10), int(row["ORDERLINENUMBER"])) for row in rows}
    assert found == sorted(expected)


def test_personal_data_that_nobody_mapped(load):
    """What the contract does not name, such as card numbers, never leaves the file."""
    platform, _ = load("ecommerce")
    stored = str([platform.query(f"TABLE {t}") for t in ("dim_customer", "dim_product")])
    for row in rows_of(SAMPLES["ecommerce"]):
        for column in ("Email", "Credit Card", "IP Address", "Job", "Company"):
            assert row[column] not in stored
