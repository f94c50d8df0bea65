"""The star that a set of objects must end as, computed in plain Python: a second opinion.

Shares nothing with the pipeline: csv module, dictionaries, and the declared precedence
(data_collected_at, object's modification time, object's key, row number).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from tests.support.checksum import Star
from tests.support.sales_record import COLUMNS, broken_rules, records

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Delivered:
    """An object as it came."""

    key: str
    body: bytes
    modified_at: datetime


def expected_star(objects: Iterable[Delivered], key: bytes) -> Star:
    """What the warehouse must hold once all of the objects are loaded, in whatever order."""
    found = sorted(_accepted(objects), key=lambda pair: pair[0])
    rows = [row for _, row in found]  # later ones win
    customers = _newest(rows, lambda row: (_pseudonym(row, key),))
    products = _newest(rows, _product)
    facts = _newest(rows, lambda row: (row["order_id"], 1))
    return Star(
        sorted((*order, *_fact(row, key)) for order, row in facts.items()),
        sorted((*who, 1, *_customer(row)) for who, row in customers.items()),
        sorted((*what, *_judged(row)) for what, row in products.items()),
    )


def _accepted(objects):
    for one in objects:
        for number, (text, cells) in enumerate(records(one.body), start=1):
            if not broken_rules(text, cells):
                row = dict(zip(COLUMNS, cells, strict=True))
                yield (row["data_collected_at"], one.modified_at, one.key, number), row


def _newest(rows: list[dict], identity: Callable[[dict], tuple]) -> dict[tuple, dict]:
    return {identity(row): row for row in rows}


def _pseudonym(row, key):
    return hmac.new(key, row["customer_email"].lower().encode(), hashlib.sha256).hexdigest()


def _product(row):
    return row["product_title"], row["product_category"]


def _fact(row, key):
    discounted, original = Decimal(row["discounted_price"]), Decimal(row["original_price"])
    profit = (discounted - Decimal("0.6") * original).quantize(CENT, ROUND_HALF_UP)
    return (
        _pseudonym(row, key),
        *_product(row),
        date.fromisoformat(row["order_date"]),
        date.fromisoformat(row["delivery_date"]),
        int(row["quantity"]),
        discounted,
        original,
        int(row["discount_percentage"]),
        profit,
        date.fromisoformat(row["data_collected_at"]),
    )


def _customer(row):
    initials = "".join(f"{word[0].upper()}." for word in row["customer_name"].split()[:3])
    digits = "".join(c for c in row["customer_phone"].partition("x")[0] if c.isdigit())
    collected = date.fromisoformat(row["data_collected_at"])
    return initials, f"***-***-{digits[-4:]}", "[redacted]", collected


def _judged(row):
    collected = date.fromisoformat(row["data_collected_at"])
    return Decimal(row["product_rating"]), row["is_best_seller"] == "True", collected
