"""The star as the business sees it: natural keys and values, free of the warehouse's own numbers.

Two warehouses that were loaded by different ways agree exactly if their checksums do.
"""

from dataclasses import dataclass

import psycopg

FACTS = """
SELECT f.order_id, f.order_line, c.email_hash, p.product_title, p.product_category,
    ordered.date AS order_date, delivered.date AS delivery_date, f.quantity, f.discounted_price,
    f.original_price, f.discount_percentage, f.profit, f.data_collected_at
FROM fact_sales AS f
LEFT JOIN dim_customer AS c USING (customer_id)
LEFT JOIN dim_product AS p USING (product_id)
LEFT JOIN dim_date AS ordered ON ordered.date_id = f.order_date_id
LEFT JOIN dim_date AS delivered ON delivered.date_id = f.delivery_date_id
"""
CUSTOMERS = """
SELECT email_hash, key_version, customer_name, phone_redacted, address_redacted, data_collected_at
FROM dim_customer
"""
PRODUCTS = """
SELECT product_title, product_category, product_rating, is_best_seller, data_collected_at
FROM dim_product
"""
DATES = "SELECT * FROM dim_date"

ORPHANS = """
SELECT count(*) FROM fact_sales AS f
WHERE NOT EXISTS (SELECT FROM dim_customer AS c WHERE c.customer_id = f.customer_id)
    OR NOT EXISTS (SELECT FROM dim_product AS p WHERE p.product_id = f.product_id)
    OR NOT EXISTS (SELECT FROM dim_date AS d WHERE d.date_id = f.order_date_id)
    OR NOT EXISTS (SELECT FROM dim_date AS d WHERE d.date_id = f.delivery_date_id)
    OR NOT EXISTS (SELECT FROM ingest_object AS o WHERE o.object_id = f.object_id)
"""
"""Facts whose declared, not enforced, keys lead nowhere."""

_CHECKSUM = """
SELECT encode(sha256(convert_to(coalesce(string_agg(
    r::text, chr(10) ORDER BY r::text COLLATE "C"), ''), 'UTF8')), 'hex')
FROM ({query}) AS r
"""


@dataclass(frozen=True)
class Star:
    """All of it, each part in the order of its keys."""

    facts: list[tuple]
    customers: list[tuple]
    products: list[tuple]


def checksum(connection: psycopg.Connection) -> str:
    """One text for the whole star, dates included."""
    parts = [
        connection.execute(_CHECKSUM.format(query=query)).fetchone()[0][:16]
        for query in (FACTS, CUSTOMERS, PRODUCTS, DATES)
    ]
    return "-".join(parts)


def star(connection: psycopg.Connection) -> Star:
    """The star's rows, to be held against others."""
    return Star(
        *(sorted(connection.execute(query).fetchall()) for query in (FACTS, CUSTOMERS, PRODUCTS))
    )
