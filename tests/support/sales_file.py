"""Sales files of the default shape, written row by row by the test that needs them."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.sales_record import COLUMNS


def sale(order_id: str, **changes: object) -> dict[str, str]:
    """A valid row, with some columns changed."""
    row = {
        "order_id": order_id,
        "customer_name": "Ada King Lovelace",
        "customer_email": "ada@example.com",
        "customer_phone": "+1 202 555 0143",
        "customer_address": "12 St James's Square\nLondon",
        "product_title": "Analytical engine",
        "product_rating": "4.5",
        "discounted_price": "80.00",
        "original_price": "100.00",
        "discount_percentage": "20",
        "is_best_seller": "true",
        "delivery_date": "2024-03-05",
        "data_collected_at": "2024-03-01",
        "order_date": "2024-03-02",
        "product_category": "Computers",
        "quantity": "2",
    }
    return row | {name: str(value) for name, value in changes.items()}


def order(number: int) -> str:
    """An order id, of ten characters as the rules want it."""
    return f"ORD-{number:06}"


def sales(numbers: Iterable[int], **changes: object) -> list[dict[str, str]]:
    """A valid row for each number."""
    return [sale(order(number), **changes) for number in numbers]


def as_csv(rows: Iterable[Mapping[str, str]], **dialect: Any) -> bytes:
    """The file with these rows; `dialect` as for `csv.writer`."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, **{"lineterminator": "\n", **dialect})
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
