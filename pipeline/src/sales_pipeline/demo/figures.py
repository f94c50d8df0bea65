"""What the warehouse says, asked by the read-only login that a dashboard would have."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

import psycopg

from sales_pipeline.demo.platform import Platform
from sales_pipeline.warehouse import Warehouse

BY_CATEGORY = "demo_revenue_by_category"
BY_MONTH = "demo_revenue_by_month"


@dataclass(frozen=True)
class Category:
    """One product category's sales."""

    product_category: str
    revenue: Decimal
    units: int
    profit: Decimal


@dataclass(frozen=True)
class Month:
    """One month's sales."""

    year: int
    month: int
    revenue: Decimal
    profit: Decimal


@dataclass(frozen=True)
class Product:
    """One article's sales."""

    product_title: str
    product_category: str
    revenue: Decimal
    units: int


@dataclass(frozen=True)
class Audit:
    """Counts of what the warehouse holds, for the demo's checks."""

    facts: int
    customers: int
    products: int
    rejected: int
    orphans: int
    """Facts that lack one of their dimensions."""
    legible: int
    """Customers of whom more can be read than may be."""


@dataclass(frozen=True)
class Figures:
    """All that the demo shows of the warehouse."""

    categories: tuple[Category, ...]
    months: tuple[Month, ...]
    products: tuple[Product, ...]
    codes: Mapping[str, int]
    audit: Audit

    @property
    def revenue(self) -> Decimal:
        """The revenue of all sales."""
        return sum((c.revenue for c in self.categories), Decimal(0))

    @property
    def profit(self) -> Decimal:
        """The profit of all sales."""
        return sum((c.profit for c in self.categories), Decimal(0))


def ask(platform: Platform) -> Figures:
    """Ask the warehouse, as a reader who could change nothing.

    Raises:
        PipelineError: The warehouse does not answer.
    """
    options = f"-c search_path={platform.settings.db_schema} -c default_transaction_read_only=on"
    connection = psycopg.connect(platform.reader_dsn, options=options, autocommit=True)
    with Warehouse(connection, "the demo's warehouse") as warehouse:
        return Figures(
            categories=tuple(Category(**row) for row in warehouse.rows(BY_CATEGORY)),
            months=tuple(Month(**row) for row in warehouse.rows(BY_MONTH)),
            products=tuple(Product(**row) for row in warehouse.rows("demo_top_products")),
            codes={row["code"]: row["times"] for row in warehouse.rows("demo_reject_codes")},
            audit=Audit(**warehouse.rows("demo_audit")[0]),
        )


def query(name: str) -> str:
    """The text of a query, as it was run."""
    return (files("sales_pipeline") / "sql" / f"{name}.sql").read_text(encoding="utf-8").strip()
