"""The sales record: its columns, their types and rules. The pydantic model is the definition.

Source of the rules: docs/data.md. Text is read strictly and in ASCII digits, so that a value means
the same to Python, to polars and to PostgreSQL. `rules.py` has the vectorised shadow of this model.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sales_api.v1alpha1 import Rules
from sales_pipeline.codes import RowCode

TRUE_WORDS = ("true", "1", "yes")
FALSE_WORDS = ("false", "0", "no")
MAX_PRICE = Decimal("99999999.99")
MAX_QUANTITY = 2_147_483_647
MAX_DECIMALS = 2

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.([0-9]{1,40}))?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BAD_CHARACTERS = re.compile("[\x00\ufffd]")
"""NUL, which PostgreSQL refuses, and the mark that an earlier program lost a character."""


def _fail(kind: str) -> PydanticCustomError:
    return PydanticCustomError(kind, kind)


def _clean(value: object) -> object:
    if isinstance(value, str) and _BAD_CHARACTERS.search(value):
        raise _fail("characters")
    return value


def _email(text: str) -> str:
    if _BAD_CHARACTERS.search(text):
        raise _fail("format")
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise _fail("format") from None


def _decimal(text: str, low: Decimal, high: Decimal, max_decimals: int) -> Decimal:
    found = _NUMBER.fullmatch(text)
    if not found:
        raise _fail("type")
    if len((found[1] or "").rstrip("0")) > max_decimals:
        raise _fail("scale")
    if not low <= (value := Decimal(text)) <= high:
        raise _fail("range")
    return value.quantize(Decimal(1).scaleb(-max_decimals))


def _integer(text: str, low: int, high: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise _fail("type")
    if not low <= (value := int(text)) <= high:
        raise _fail("range")
    return value


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in (*TRUE_WORDS, *FALSE_WORDS):
        raise _fail("type")
    return word in TRUE_WORDS


def _date(text: str) -> date:
    # The pattern first: fromisoformat also takes 20240131 and 2024-W05-3.
    if not _DATE.fullmatch(text):
        raise _fail("format")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _fail("format") from None


def _read(parse: Callable[[str], Any]) -> BeforeValidator:
    """Read a value from stripped text."""

    def read(value: object) -> object:
        if not isinstance(value, str):
            raise _fail("missing")
        return parse(value.strip())

    return BeforeValidator(read)


def _text(longest: int, shortest: int = 1) -> Any:  # a type, as pydantic reads it
    return Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest),
        BeforeValidator(_clean),
    ]


_Price = Annotated[Decimal, _read(lambda t: _decimal(t, Decimal("0.01"), MAX_PRICE, MAX_DECIMALS))]
_Rating = Annotated[Decimal, _read(lambda t: _decimal(t, Decimal(1), Decimal(5), MAX_DECIMALS))]
_Percentage = Annotated[int, _read(lambda t: _integer(t, 0, 100))]
_Positive = Annotated[int, _read(lambda t: _integer(t, 1, MAX_QUANTITY))]
_Flag = Annotated[bool, _read(_boolean)]
_Day = Annotated[date, _read(_date)]
_Email = Annotated[str, _read(_email)]


class SalesRecord(BaseModel):
    """One accepted row."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    order_id: _text(10, 10)  # type: ignore[valid-type]
    order_line: _Positive = 1
    customer_name: _text(255)  # type: ignore[valid-type]
    customer_email: _Email | None = None
    customer_key: _text(4096) | None = None  # type: ignore[valid-type]
    customer_phone: _text(50)  # type: ignore[valid-type]
    customer_address: _text(500)  # type: ignore[valid-type]
    product_title: _text(500)  # type: ignore[valid-type]
    product_rating: _Rating
    discounted_price: _Price
    original_price: _Price
    discount_percentage: _Percentage
    is_best_seller: _Flag
    delivery_date: _Day
    data_collected_at: _Day
    order_date: _Day
    product_category: _text(100)  # type: ignore[valid-type]
    quantity: _Positive

    @model_validator(mode="after")
    def _delivered_after_order(self, info: ValidationInfo) -> Self:
        rules: Rules = info.context or Rules()
        if rules.delivery_not_before_order and self.delivery_date < self.order_date:
            raise _fail("before_order")
        return self

    def to_text(self) -> dict[str, str | None]:
        """The values in their one canonical spelling."""
        return {name: _spell(value) for name, value in self}


def _spell(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


_KINDS = {
    "missing": "missing",
    "string_type": "missing",
    "string_too_short": "length",
    "string_too_long": "length",
}


def check(values: Mapping[str, str | None], rules: Rules) -> SalesRecord | list[RowCode]:
    """The record that a row of text is, or the codes of all that is wrong with it.

    Args:
        values: The contract's target columns as text; None where there is no value.
        rules: Switches over and above the model.
    """
    identities = [name for name in ("customer_email", "customer_key") if name in values]
    codes = [RowCode(f"{name}.missing") for name in identities if values[name] is None]
    try:
        record = SalesRecord.model_validate(values, context=rules)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        codes += [_code(e["loc"], e["type"]) for e in errors]
        return list(dict.fromkeys(codes))
    return codes or record


def _code(location: tuple[int | str, ...], kind: str) -> RowCode:
    if kind == "before_order":
        return RowCode.DELIVERY_DATE_BEFORE_ORDER
    return RowCode(f"{location[0]}.{_KINDS.get(kind, kind)}")
