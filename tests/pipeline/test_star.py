"""Accepted rows become customers, products and sales that refer to one another."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from sales_api.v1alpha1 import Privacy
from sales_pipeline.anonymise import Anonymiser
from sales_pipeline.star import profit, to_star
from tests.support.sales_file import order, sale, sales

FACTOR = Decimal("0.6")
CENT = Decimal("0.01")


def anonymous(rows, first=1):
    frame = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    numbers = pl.int_range(first, first + len(rows), eager=True).alias("row_number")
    return Anonymiser(Privacy(), b"key")(frame.insert_column(0, numbers))


def star(rows, first=1, factor=FACTOR):
    return to_star(anonymous(rows, first), cost_factor=factor)


def of_profit(discounted, original, factor=FACTOR):
    prices = pl.DataFrame({"discounted_price": discounted, "original_price": original})
    return prices.select(profit(factor)).to_series().to_list()


prices = st.decimals(min_value="0.01", max_value="99999999.99", places=2)


@given(
    st.lists(st.tuples(prices, prices), min_size=1, max_size=20),
    st.decimals(min_value=0, max_value="999.999999", places=6),
)
def test_profit_is_exact_and_half_up(pairs, factor):
    """As the decimal module has it, for any prices and any cost factor."""
    discounted, original = zip(*pairs, strict=True)

    got = of_profit([str(d) for d in discounted], [str(o) for o in original], factor)

    assert got == [(d - factor * o).quantize(CENT, ROUND_HALF_UP) for d, o in pairs]


def test_profit_examples():
    """Halves go away from zero, on either side of it; short spellings are fine."""
    got = of_profit(["80", "1.00", "0.01", "0.6", "1"], ["100.0", "1.00", "1.00", "1", "1.5"])
    assert got == [Decimal(text) for text in ("20.00", "0.40", "-0.59", "0.00", "0.10")]

    half = of_profit(["1.00", "0.01"], ["0.01", "0.01"], Decimal("0.5"))
    assert half == [Decimal("1.00"), Decimal("0.01")]
    assert of_profit(["0.01"], ["0.01"], Decimal("1.5")) == [Decimal("-0.01")]


def test_one_row_in_three_parts():
    """Every value of a sale is in one of them."""
    rows = star([sale("ORD-000001")], first=7)

    assert (
        rows.customers.row(0, named=True).items()
        >= {
            "customer_ref": 7,
            "customer_name": "A.K.L.",
            "phone_redacted": "***-***-0143",
            "data_collected_at": "2024-03-01",
        }.items()
    )
    assert (
        rows.products.row(0, named=True).items()
        >= {
            "product_ref": 7,
            "product_title": "Analytical engine",
            "product_category": "Computers",
            "product_rating": "4.5",
            "is_best_seller": True,
        }.items()
    )
    sold = {name: str(value) for name, value in rows.sales.row(0, named=True).items()}
    assert sold == {
        "order_id": "ORD-000001",
        "order_line": "1",
        "customer_ref": "7",
        "product_ref": "7",
        "order_date": "20240302",
        "delivery_date": "20240305",
        "quantity": "2",
        "discounted_price": "80.00",
        "original_price": "100.00",
        "discount_percentage": "20",
        "profit": "20.00",
        "data_collected_at": "2024-03-01",
        "row_number": "7",
    }
    assert rows.dates == {date(2024, 3, 2), date(2024, 3, 5)}


def test_order_line_is_taken_where_it_is_mapped():
    """Else every order has one line."""
    assert star([{**sale("ORD-000001"), "order_line": "3"}]).sales["order_line"].to_list() == ["3"]


def test_flags_in_any_spelling():
    """The fast way leaves the words as they came."""
    words = {"Yes": True, "TRUE": True, "1": True, "no": False, "False": False, "0": False}
    rows = [sale(order(n), is_best_seller=word, product_title=word) for n, word in enumerate(words)]

    products = star(rows).products

    assert dict(products.select("product_title", "is_best_seller").rows()) == words


def test_newest_row_speaks_for_its_customer_and_product():
    """The greater day of collection, and on one day the greater row number."""
    rows = [
        sale(order(1), data_collected_at="2024-03-02", customer_name="B", product_rating="2"),
        sale(order(2), data_collected_at="2024-03-02", customer_name="C", product_rating="3"),
        sale(order(3), data_collected_at="2024-03-01", customer_name="D", product_rating="4"),
        sale(order(4), customer_email="other@example.com", product_category="Other"),
    ]

    got = star(rows)

    assert sorted(got.customers.select("customer_ref", "customer_name").rows()) == [
        (2, "C."),
        (4, "A.K.L."),
    ]
    assert sorted(got.products.select("product_ref", "product_rating").rows()) == [
        (2, "3"),
        (4, "4.5"),
    ]
    assert got.sales["customer_ref"].to_list() == [2, 2, 2, 4]


@st.composite
def batches(draw):
    """Rows of few customers, products and days."""
    rows = sales(range(draw(st.integers(1, 12))))
    for row in rows:
        row["customer_email"] = draw(st.sampled_from(["a@x.org", "b@x.org", "A@x.org", "c@x.org"]))
        row["product_title"] = draw(st.sampled_from(["Engine", "Loom", "engine"]))
        row["product_category"] = draw(st.sampled_from(["Old", "New"]))
        row["customer_name"] = draw(st.sampled_from(["P", "Q", "R"]))
        for day in ("data_collected_at", "order_date", "delivery_date"):
            row[day] = draw(
                st.sampled_from(["0999-12-31", "2024-03-01", "2024-03-02", "9999-12-31"])
            )
    return rows


@given(batches(), st.integers(1, 2**40))
def test_every_reference_resolves_to_the_newest(rows, first):
    """Each sale has one customer and one product, whose values are those of the newest row."""
    got = star(rows, first)
    emails = {number: row["customer_email"].lower() for number, row in enumerate(rows, first)}
    titles = {
        number: (row["product_title"], row["product_category"])
        for number, row in enumerate(rows, first)
    }
    newest = {}
    for _, number in sorted((row["data_collected_at"], n) for n, row in enumerate(rows, first)):
        newest[emails[number]] = newest[titles[number]] = number

    assert got.sales["row_number"].to_list() == list(emails)
    for number, customer, product in got.sales.select(
        "row_number", "customer_ref", "product_ref"
    ).iter_rows():
        assert customer == newest[emails[number]]
        assert product == newest[titles[number]]
    assert set(got.customers["customer_ref"]) == {newest[email] for email in emails.values()}
    assert set(got.products["product_ref"]) == {newest[title] for title in titles.values()}
    assert got.customers["email_hash"].n_unique() == got.customers.height
    names = dict(got.customers.select("customer_ref", "customer_name").rows())
    assert names == {ref: rows[ref - first]["customer_name"] + "." for ref in names}
    days = {date.fromisoformat(row[d]) for row in rows for d in ("order_date", "delivery_date")}
    assert got.dates == days


def test_no_rows():
    """An object of rejects alone gives an empty star."""
    got = to_star(anonymous(sales([1])).clear(), cost_factor=FACTOR)

    assert (got.customers.height, got.products.height, got.sales.height) == (0, 0, 0)
    assert got.dates == set()
