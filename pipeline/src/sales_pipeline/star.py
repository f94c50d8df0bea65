"""Accepted, anonymous rows become rows of the star: customers, products, sales. Pure."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from sales_pipeline.schema import TRUE_WORDS

_PRICE = pl.Decimal(12, 2)
_WIDE = pl.Decimal(38, 8)


@dataclass(frozen=True)
class StarRows:
    """What one batch adds to the staging tables, in their column order."""

    customers: pl.DataFrame
    products: pl.DataFrame
    sales: pl.DataFrame
    dates: set[date]


def to_star(rows: pl.DataFrame, *, cost_factor: Decimal) -> StarRows:
    """Split a batch into dimensions and facts.

    A ref, which joins the two until the warehouse gives keys, is a row number: unique in the
    object, and evenly spread for a hash join.

    Args:
        rows: Accepted rows after anonymising, as text in canonical spelling.
        cost_factor: Cost as a share of the original price.
    """
    referring = rows.hstack(_refs(rows))
    return StarRows(
        customers=_customers(referring.filter(pl.col("row_number") == pl.col("customer_ref"))),
        products=_products(referring.filter(pl.col("row_number") == pl.col("product_ref"))),
        sales=referring.select(*_sales_columns(rows.columns, cost_factor)),
        dates=_dates(rows),
    )


def _refs(rows: pl.DataFrame) -> pl.DataFrame:
    """For each row, which row speaks for its customer and its product: that of most precedence.

    Dates are compared as text: in ISO 8601 that is the same.
    """
    keys = ("row_number", "data_collected_at", "email_hash", "product_title", "product_category")
    newest_last = rows.select(keys).sort("data_collected_at", "row_number")
    newest = pl.col("row_number").last()
    refs = newest_last.select(
        "row_number",
        newest.over("email_hash").alias("customer_ref"),
        newest.over("product_title", "product_category").alias("product_ref"),
    )
    return refs.sort("row_number").drop("row_number")


def _customers(newest: pl.DataFrame) -> pl.DataFrame:
    # The redacted address is the same for all: the merge adds it.
    return newest.select(
        "customer_ref", "email_hash", "customer_name", "phone_redacted", "data_collected_at"
    )


def _products(newest: pl.DataFrame) -> pl.DataFrame:
    return newest.select(
        "product_ref", "product_title", "product_category", "product_rating",
        pl.col("is_best_seller").str.to_lowercase().is_in(list(TRUE_WORDS)),
        "data_collected_at",
    )  # fmt: skip


def _sales_columns(columns: list[str], cost_factor: Decimal) -> list[pl.Expr | str]:
    line = pl.col("order_line") if "order_line" in columns else pl.lit(1).alias("order_line")
    return [
        "order_id", line, "customer_ref", "product_ref", _date_id("order_date"),
        _date_id("delivery_date"), "quantity", "discounted_price", "original_price",
        "discount_percentage", profit(cost_factor).alias("profit"), "data_collected_at",
        "row_number",
    ]  # fmt: skip


def _date_id(name: str) -> pl.Expr:
    """`2024-03-05` as 20240305."""
    return pl.col(name).str.replace_all("-", "", literal=True)


def profit(cost_factor: Decimal) -> pl.Expr:
    """Discounted price - cost factor x original price, per unit, half-up to 2 places."""
    discounted = pl.col("discounted_price").cast(_PRICE).cast(_WIDE)
    original = pl.col("original_price").cast(_PRICE).cast(_WIDE)
    exact = discounted - original * pl.lit(cost_factor, dtype=pl.Decimal(16, 6))
    return exact.round(2, mode="half_away_from_zero").cast(pl.Decimal(18, 2))


def _dates(rows: pl.DataFrame) -> set[date]:
    days = pl.concat([rows["order_date"].unique(), rows["delivery_date"].unique()])
    return {date.fromisoformat(day) for day in days.unique().to_list()}
