"""The vectorised shadow of the record's model: it accepts only rows that the model accepts.

It need not accept all of them: a row that it does not take goes to the model for a verdict, so a
rule here may be stricter than the model (an unusual but valid e-mail address), never laxer.
A property test holds the two together.
"""

import polars as pl

from sales_api.v1alpha1 import Rules
from sales_pipeline.schema import FALSE_WORDS, TRUE_WORDS

_EMAIL = (
    # Plain ASCII addresses under a common top-level domain. Labels with -- inside
    # (internationalised names) and rare or reserved top-level domains go to the model.
    r"^[A-Za-z0-9_'+%-]+(?:\.[A-Za-z0-9_'+%-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9]|-[A-Za-z0-9]){0,30}\.)+(?:com|org|net|edu|gov|info|biz|io|co|uk"
    r"|de|fr|it|es|nl|eu|us|ca|au|br|in|jp|ch|at|be|dk|fi|no|pl|pt|se)$"
)
_PRICE = r"^(?:[1-9][0-9]{0,7}(?:\.[0-9]{1,2})?|0\.(?:0[1-9]|[1-9][0-9]?))$"
_RATING = r"^(?:[1-4](?:\.[0-9]{1,2})?|5(?:\.0{1,2})?)$"
_PERCENTAGE = r"^(?:100|[1-9]?[0-9])$"
_POSITIVE = r"^[1-9][0-9]{0,8}$"
_DATE = r"^[12][0-9]{3}-[01][0-9]-[0-3][0-9]$"
_TEXTS = {
    "order_id": (10, 10),
    "customer_name": (1, 255),
    "customer_key": (1, 4096),
    "customer_phone": (1, 50),
    "customer_address": (1, 500),
    "product_title": (1, 500),
    "product_category": (1, 100),
}
_PATTERNS = {
    "product_rating": _RATING,
    "discounted_price": _PRICE,
    "original_price": _PRICE,
    "discount_percentage": _PERCENTAGE,
    "quantity": _POSITIVE,
    "order_line": _POSITIVE,
}
DATES = ("delivery_date", "data_collected_at", "order_date")
_LONGEST_LOCAL_PART = 64


def accepted(columns: list[str], rules: Rules) -> pl.Expr:
    """True for rows that are surely valid; false or null for those the model must judge.

    Args:
        columns: The contract's target columns, each stripped text.
        rules: Switches over and above the model.
    """
    tests = [_test(name) for name in columns]
    if rules.delivery_not_before_order:
        tests.append(pl.col("delivery_date") >= pl.col("order_date"))
    return pl.all_horizontal(tests)


def _test(name: str) -> pl.Expr:
    column = pl.col(name)
    if name in _TEXTS:
        return _is_text(column, *_TEXTS[name])
    if name in _PATTERNS:
        return column.str.contains(_PATTERNS[name])
    if name in DATES:
        day = column.str.to_date("%Y-%m-%d", strict=False)
        return column.str.contains(_DATE) & day.is_not_null()
    if name == "is_best_seller":
        return column.str.to_lowercase().is_in([*TRUE_WORDS, *FALSE_WORDS])
    short = column.str.find("@", literal=True) <= _LONGEST_LOCAL_PART
    return column.str.contains(_EMAIL) & (column.str.len_bytes() <= 254) & short  # noqa: PLR2004 - RFC 5321


def _is_text(column: pl.Expr, shortest: int, longest: int) -> pl.Expr:
    clean = ~column.str.contains_any(["\x00", "\ufffd"])
    return column.str.len_chars().is_between(shortest, longest) & clean
