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
    typed = rows.with_columns(_day("data_collected_at"), _day("order_date"), _day("delivery_date"))
    customers = _newest(typed, ["email_hash"])
    products = _newest(typed, ["product_title", "product_category"])
    sales = (
        typed.join(customers.select("ref", "email_hash"), on="email_hash", maintain_order="left")
        .rename({"ref": "customer_ref"})
        .join(
            products.select("ref", "product_title", "product_category"),
            on=["product_title", "product_category"],
            maintain_order="left",
        )
        .rename({"ref": "product_ref"})
        .select(*_sales_columns(typed.columns, cost_factor))
    )
    return StarRows(_customers(customers), _products(products), sales, _dates(typed))


def _day(name: str) -> pl.Expr:
    return pl.col(name).str.to_date("%Y-%m-%d")


def _newest(typed: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """One row for each key, that of greatest precedence, and its ref."""
    ordered = typed.sort("data_collected_at", "row_number")
    newest = ordered.unique(key, keep="last", maintain_order=False)
    return newest.with_columns(pl.col("row_number").alias("ref"))


def _customers(newest: pl.DataFrame) -> pl.DataFrame:
    # The redacted address is the same for all: the merge adds it.
    return newest.select(
        "ref", "email_hash", "customer_name", "phone_redacted", "data_collected_at"
    )


def _products(newest: pl.DataFrame) -> pl.DataFrame:
    return newest.select(
        "ref", "product_title", "product_category", "product_rating",
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
    day = pl.col(name).dt
    return (day.year() * 10_000 + day.month().cast(pl.Int32) * 100 + day.day()).alias(name)


def profit(cost_factor: Decimal) -> pl.Expr:
    """Discounted price - cost factor x original price, per unit, half-up to 2 places."""
    discounted = pl.col("discounted_price").cast(_PRICE).cast(_WIDE)
    original = pl.col("original_price").cast(_PRICE).cast(_WIDE)
    exact = discounted - original * pl.lit(cost_factor, dtype=pl.Decimal(16, 6))
    return exact.round(2, mode="half_away_from_zero").cast(pl.Decimal(18, 2))


def _dates(typed: pl.DataFrame) -> set[date]:
    both = pl.concat([typed["order_date"].unique(), typed["delivery_date"].unique()])
    return set(both.to_list())
