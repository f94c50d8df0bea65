"""The star itself: keys that hold though nothing enforces them, counts, and what people ask it."""

import csv
from datetime import date
from decimal import Decimal

import psycopg
import pytest

from tests.support.checksum import ORPHANS
from tests.support.sales_file import as_csv, order, sale, sales

pytestmark = pytest.mark.integration

ROWS = [
    sale(order(1), order_date="2023-12-31", delivery_date="2024-01-01", quantity=3),
    sale(order(2), product_title="Abacus", product_category="Toys", discounted_price="0.01"),
    sale(order(3), customer_email="bob@example.com", product_category="Toys, old"),
    sale(order(4), order_date="2024-02-29", quantity=10),
]
REVENUE_BY_CATEGORY = """
SELECT p.product_category, SUM(f.discounted_price * f.quantity) AS revenue, SUM(f.quantity)
FROM fact_sales f JOIN dim_product p ON f.product_id = p.product_id
GROUP BY p.product_category ORDER BY revenue DESC
"""
PROFIT_BY_MONTH = """
SELECT d.year, d.month, SUM(f.profit), AVG(f.discount_percentage)
FROM fact_sales f JOIN dim_date d ON f.order_date_id = d.date_id
GROUP BY d.year, d.month ORDER BY d.year, d.month
"""
WEEKENDS = """
SELECT d.is_weekend, d.day_of_week, COUNT(DISTINCT f.customer_id)
FROM fact_sales f JOIN dim_date d ON f.order_date_id = d.date_id
GROUP BY 1, 2 ORDER BY 1, 2
"""


@pytest.fixture
def loaded(platform):
    """A platform that has loaded ROWS, and some of them once more from a later file."""
    platform.run(platform.request(platform.put("raw/a.csv", as_csv(ROWS))))
    later = as_csv([ROWS[0] | {"quantity": "5"}, *sales(range(10, 13))])
    platform.run(platform.request(platform.put("raw/b.csv", later)))
    return platform


@pytest.fixture
def dashboard(loaded):
    """A reader with `sales` on the search path, as dashboards are set up."""
    options = "-c search_path=sales"
    with psycopg.connect(loaded.reader_dsn, options=options) as connection:
        yield connection


class TestQueries:
    """Queries of the kind that the seed of the project shipped run as they are written."""

    def test_revenue_by_category(self, dashboard):
        """Revenue by category, from the prices and quantities of the records that count."""
        assert dashboard.execute(REVENUE_BY_CATEGORY).fetchall() == [
            ("Computers", Decimal("1680.00"), 21),
            ("Toys, old", Decimal("160.00"), 2),
            ("Toys", Decimal("0.02"), 2),
        ]

    def test_profit_by_month(self, dashboard):
        """Profit per unit is the discounted price less 0.6 of the original one."""
        assert dashboard.execute(PROFIT_BY_MONTH).fetchall() == [
            (2023, 12, Decimal("20.00"), Decimal(20)),
            (2024, 2, Decimal("20.00"), Decimal(20)),
            (2024, 3, Decimal("20.01"), Decimal(20)),
        ]

    def test_weekends(self, dashboard):
        """Monday is day 0, and the weekend is Saturday and Sunday."""
        assert dashboard.execute(WEEKENDS).fetchall() == [
            (False, 3, 1),  # Thursday, 29 February 2024
            (True, 5, 2),  # Saturday, 2 March 2024
            (True, 6, 1),  # Sunday, 31 December 2023
        ]

    def test_a_date(self, dashboard):
        """The calendar is ISO's: the last day of 2023 lies in its week 52."""
        row = dashboard.execute("SELECT * FROM dim_date WHERE date_id = 20231231").fetchone()
        assert row == (20231231, date(2023, 12, 31), 2023, 4, 12, 31, 6, 52, True)

    def test_from_a_fact_to_its_file(self, dashboard):
        """One query leads from any fact to file, row, run and contract."""
        row = dashboard.execute(
            "SELECT o.key, f.row_number, o.run, length(o.contract_hash), o.archived_key <> ''"
            " FROM fact_sales f JOIN ingest_object o USING (object_id) WHERE order_id = %s",
            [order(1)],
        ).fetchone()
        assert row == ("raw/b.csv", 1, "r1", 16, True)


class TestKeys:
    def test_no_orphans(self, loaded):
        """Every fact has its customer, product, dates and object."""
        assert loaded.value(ORPHANS) == 0

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM dim_customer WHERE customer_name = 'A.K.L.'",
            "DELETE FROM dim_product WHERE product_title = 'Abacus'",
            "DELETE FROM dim_date WHERE date_id = 20231231",
            "DELETE FROM dim_date WHERE date_id = 20240101",
            "UPDATE fact_sales SET object_id = 0",
        ],
    )
    def test_audit_finds_orphans(self, loaded, statement):
        """The audit finds a fact whose key leads nowhere; nothing else would."""
        loaded.query(statement)
        assert loaded.value(ORPHANS) > 0

    def test_declared(self, loaded):
        """Dashboards see the keys in the catalogue, and that they are not enforced."""
        keys = loaded.query(
            "SELECT confrelid::regclass::text, conenforced FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid = 'fact_sales'::regclass ORDER BY 1, conkey"
        )
        tables = ["dim_customer", "dim_date", "dim_date", "dim_product", "ingest_object"]
        assert keys == [(table, False) for table in tables]


class TestConservation:
    def test_holds(self, loaded):
        """Of every object, what was read is loaded, rejected or deduplicated."""
        assert loaded.value("SELECT sum(rows_read) FROM ingest_object") == 8
        assert loaded.value("SELECT sum(rows_loaded) FROM ingest_object") == 8

    @pytest.mark.parametrize("column", ["rows_read", "rows_loaded", "rows_rejected"])
    def test_a_lie_is_refused(self, loaded, column):
        """The database itself refuses counts that do not add up."""
        with pytest.raises(psycopg.errors.CheckViolation, match="conservation"):
            loaded.query(f"UPDATE ingest_object SET {column} = {column} + 1")

    def test_refused_without_a_reason(self, loaded):
        """The database refuses a quarantined object without a code."""
        with pytest.raises(psycopg.errors.CheckViolation, match="error_code_tells_why"):
            loaded.query("UPDATE ingest_object SET status = 'quarantined'")

    def test_one_row_for_an_identity(self, loaded):
        """The database refuses a second row that counts for the same content and contract."""
        with pytest.raises(psycopg.errors.UniqueViolation, match="ingest_object_identity"):
            loaded.query(
                "INSERT INTO ingest_object SELECT (json_populate_record(o,"
                " json_build_object('object_id', o.object_id + 100))).* FROM ingest_object AS o"
            )


def test_text_that_a_csv_must_quote(platform):
    """Titles with quotes, commas, line ends, backslashes and COPY's own marks arrive unchanged."""
    titles = [
        'say "hi"', "a,b", "a\nb", "a\r\nb", "a\rb", "\\.", "x\n\\.\ny", "\\N", "NULL", '""',
        "é€😀", "a\tb", "\\", "'; DROP TABLE fact_sales; --", "%s %(key)s", "{}", "a\u2028b",
        "a" * 500,
    ]  # fmt: skip
    rows = [sale(order(n), product_title=title) for n, title in enumerate(titles)]
    platform.put("raw/a.csv", as_csv(rows, quoting=csv.QUOTE_ALL))
    (result,) = platform.sweep()
    assert result.rows.loaded == len(titles)
    found = platform.query(
        "SELECT product_title FROM fact_sales JOIN dim_product USING (product_id) ORDER BY order_id"
    )
    assert [title for (title,) in found] == titles
