"""The default contract's rules once more, in plain Python: a second opinion for the tests.

Shares nothing with the generator or the pipeline, so that it can judge both.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal

from email_validator import EmailNotValidError, validate_email

COLUMNS = [
    *("order_id", "customer_name", "customer_email", "customer_phone", "customer_address"),
    *("product_title", "product_rating", "discounted_price", "original_price"),
    *("discount_percentage", "is_best_seller", "delivery_date", "data_collected_at"),
    *("order_date", "product_category", "quantity"),
]
CENT = Decimal("0.01")


def records(content: bytes) -> Iterator[tuple[str, list[str]]]:
    """Each record after the header: its text and what a lenient reader takes for its cells."""
    lines: list[str] = []
    source = (lines.append(line) or line for line in io.StringIO(content.decode(), newline=""))
    reader = csv.reader(source)
    assert next(reader) == COLUMNS
    lines.clear()
    for cells in reader:
        yield "".join(lines), cells
        lines.clear()


def dicts(content: bytes) -> list[dict[str, str]]:
    return [dict(zip(COLUMNS, cells, strict=True)) for _, cells in records(content)]


def is_money(text: str) -> bool:
    number = Decimal(text)
    return number > 0 and number == number.quantize(CENT) and number < 10**8


def is_date(text: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(text).isoformat() == text
    return False


def is_mail(text: str) -> bool:
    with suppress(EmailNotValidError):
        return bool(validate_email(text, check_deliverability=False))
    return False


RULES = {
    "order_id": lambda text: len(text) == 10,
    "customer_name": lambda text: 1 <= len(text.strip()) <= 255,
    "customer_email": is_mail,
    "customer_phone": lambda text: 1 <= len(text.strip()) <= 50,
    "customer_address": lambda text: 1 <= len(text.strip()) <= 500,
    "product_title": lambda text: 1 <= len(text.strip()) <= 500,
    "product_rating": lambda text: 1 <= Decimal(text) <= 5,
    "discounted_price": is_money,
    "original_price": is_money,
    "discount_percentage": lambda text: 0 <= int(text) <= 100,
    "is_best_seller": lambda text: text in ("True", "False"),
    "delivery_date": is_date,
    "data_collected_at": is_date,
    "order_date": is_date,
    "product_category": lambda text: 1 <= len(text.strip()) <= 100,
    "quantity": lambda text: int(text) >= 1,
}


def rewritten(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def broken_rules(text: str, cells: list[str]) -> set[str]:
    """What is wrong with a record, found out without the generator's help."""
    broken = set() if rewritten(cells) == text else {"quoting"}
    if len(cells) != len(COLUMNS):
        return broken | {"too few fields" if len(cells) < len(COLUMNS) else "too many fields"}
    return broken | {
        name for name, cell in zip(COLUMNS, cells, strict=True) if not RULES[name](cell)
    }
