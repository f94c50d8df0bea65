"""Good rows: every column is a fixed function of the seed and the row's number in the whole set.

A row is not drawn after the one before it, it is mixed from its number. So how a set is cut into
chunks or files changes no byte of a row, any stretch can be made without what precedes it, and
it all runs as column arithmetic. The mixing is SplitMix64, written out, because polars promises
nothing about its own hashes from one version to the next. What has few values, such as prices
and dates, is written by Python once and looked up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import polars as pl

from sales_api.names import RECORD_COLUMNS
from sales_pipeline import generate_catalogue as shop

MAX_ORDERS = 100_000_000
"""Two letters for the seed leave eight of the ten characters for digits."""

DELIVERY_DAYS = 14
COLLECTION_DAYS = 30
DISCOUNT_STEP = 5
DISCOUNT_STEPS = 14
"""From 0 to 65 % off: no article becomes free, every price stays above zero."""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST_FACTOR = 0xBF58476D1CE4E5B9
_SECOND_FACTOR = 0x94D049BB133111EB
_CUSTOMER_SALT = 0x5A1E5


@dataclass(frozen=True)
class Population:
    """What a row is drawn from: the seed of the orders and the number of customers."""

    seed: int
    customers: int


@dataclass(frozen=True)
class _Draw:
    """The bit from which up a value is taken out of a 64-bit mix."""

    source: str
    shift: int

    def below(self, limit: int) -> pl.Expr:
        """A number from 0 to limit - 1."""
        return pl.col(self.source) // _u64(1 << self.shift) % _u64(limit)


# Ten bits and more lie between two draws of one mix: enough to make them independent.
_SLOT, _DELIVERY, _COLLECTION, _CUSTOMER = (_Draw("when", shift) for shift in (0, 13, 23, 32))
_POPULAR, _CHOICE, _DISCOUNT, _UNITS, _DRIFT = (_Draw("what", at) for at in (0, 12, 24, 36, 48))
_MAIL_CASE = _Draw("what", 56)
_FIRST, _LAST, _DOMAIN, _PHONE, _EXTENSION = (_Draw("who", shift) for shift in (0, 12, 24, 36, 48))
_STREET, _CITY, _STATE, _HOUSE, _LAYOUT = (_Draw("where", shift) for shift in (0, 12, 24, 36, 50))
_AREA, _LINE, _ZIP = (_Draw("digits", shift) for shift in (0, 16, 32))


def order_id(seed: int, row: int) -> str:
    """The order id of one row, as `good_rows` writes it."""
    return f"{_prefix(seed)}{row:08d}"


def mixed(number: pl.Expr, salt: int) -> pl.Expr:
    """SplitMix64 of a column of UInt64; the products wrap, as they must."""
    state = (number + _u64(salt & _MASK)) * _u64(_GOLDEN)
    state = (state ^ state // _u64(1 << 30)) * _u64(_FIRST_FACTOR)
    state = (state ^ state // _u64(1 << 27)) * _u64(_SECOND_FACTOR)
    return state ^ state // _u64(1 << 31)


def salted(seed: int, purpose: int) -> int:
    """A salt for one purpose of one seed, far from those of neighbouring seeds and rows."""
    state = (seed * _GOLDEN + purpose) * _FIRST_FACTOR & _MASK
    return (state ^ state >> 29) * _SECOND_FACTOR & _MASK


def good_rows(first: int, stop: int, population: Population) -> pl.DataFrame:
    """The rows numbered first to stop - 1: `row`, and `RECORD_COLUMNS` quoted as in a file."""
    rows = pl.LazyFrame({"row": pl.int_range(first, stop, dtype=pl.UInt64, eager=True)})
    return (
        rows.with_columns(
            when=mixed(pl.col("row"), salted(population.seed, 1)),
            what=mixed(pl.col("row"), salted(population.seed, 2)),
        )
        .with_columns(**_choices(population.customers))
        .with_columns(
            who=mixed(pl.col("customer"), _CUSTOMER_SALT),
            where=mixed(pl.col("customer"), _CUSTOMER_SALT << 20),
            digits=mixed(pl.col("customer"), _CUSTOMER_SALT << 40),
        )
        .select("row", **_order_texts(population.seed), **_customer_texts(), **_product_texts())
        .select("row", *RECORD_COLUMNS)
        .collect()
    )


def _choices(customers: int) -> dict[str, pl.Expr]:
    """Which customer, article, day and discount: what several columns must agree on.

    The product of two draws favours the small numbers, so that some articles sell far better.
    """
    popular = _POPULAR.below(shop.PRODUCTS) * _CHOICE.below(shop.PRODUCTS)
    return {
        "customer": _CUSTOMER.below(customers),
        "article": popular // _u64(shop.PRODUCTS),
        "day": _number_of(shop.order_days(), _SLOT.below(shop.DAY_SLOTS)),
        "step": _DISCOUNT.below(DISCOUNT_STEPS),
    }


def _order_texts(seed: int) -> dict[str, pl.Expr]:
    day = pl.col("day")
    return {
        "order_id": pl.lit(_prefix(seed)) + _padded(pl.col("row"), 8),
        "discount_percentage": _text(pl.col("step") * _u64(DISCOUNT_STEP)),
        "order_date": _taken(_day_names(), day),
        "delivery_date": _taken(_day_names(), day + 1 + _DELIVERY.below(DELIVERY_DAYS)),
        "data_collected_at": _taken(_day_names(), day + _COLLECTION.below(COLLECTION_DAYS + 1)),
        "quantity": _text(_u64(1) + _UNITS.below(3) * _UNITS.below(7) // _u64(2)),
    }


def _customer_texts() -> dict[str, pl.Expr]:
    first, last = _FIRST.below(len(shop.FIRST_NAMES)), _LAST.below(len(shop.LAST_NAMES))
    return {
        "customer_name": pl.concat_str(
            _taken(shop.FIRST_NAMES, first), _taken(shop.LAST_NAMES, last), separator=" "
        ),
        "customer_email": _email(first, last),
        "customer_phone": _phone(),
        "customer_address": _address(),
    }


def _product_texts() -> dict[str, pl.Expr]:
    products, article = shop.catalogue(), pl.col("article")
    rating = _number_of((product.rating_tenths for product in products), article)
    prices = (_decimal(product.price_cents, 2) for product in products)
    discounted = article * _u64(DISCOUNT_STEPS) + pl.col("step")
    return {
        "product_title": _taken((_quoted(product.title) for product in products), article),
        "product_category": _taken((product.category for product in products), article),
        "is_best_seller": _taken((str(product.is_best_seller) for product in products), article),
        "product_rating": _taken(_ratings(), (rating + _DRIFT.below(3) - 1).clip(10, 50)),
        "original_price": _taken(prices, article),
        "discounted_price": _taken(_discounted_prices(), discounted),
    }


def _email(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    """Unique by the customer's number; one order in sixteen comes with capitals in it."""
    capitals = _MAIL_CASE.below(16) == 0
    return pl.concat_str(
        _in_either_case(map(shop.mail_name, shop.FIRST_NAMES), first, capitals),
        pl.lit("."),
        _in_either_case(map(shop.mail_name, shop.LAST_NAMES), last, capitals),
        _text(pl.col("customer")),
        pl.lit("@"),
        _in_either_case(shop.MAIL_DOMAINS, _DOMAIN.below(len(shop.MAIL_DOMAINS)), capitals),
    )


def _in_either_case(values: Iterable[str], at: pl.Expr, capitals: pl.Expr) -> pl.Expr:
    """Looked up as they are or, where `capitals` holds, with one in front."""
    small = list(values)
    both = [*small, *map(str.capitalize, small)]
    return _taken(both, at + capitals.cast(pl.UInt64) * _u64(len(small)))


def _phone() -> pl.Expr:
    """In the shop's several ways of writing; 555 is an exchange that is nobody's."""
    style = _PHONE.below(len(shop.PHONE_STYLES))
    before, after, between = zip(*shop.PHONE_STYLES, strict=True)
    extension = pl.lit("x") + _text(_u64(10) + _EXTENSION.below(4_000))
    return pl.concat_str(
        _taken(before, style),
        _text(_u64(201) + _AREA.below(780)),
        _taken(after, style),
        pl.lit("555"),
        _taken(between, style),
        _padded(_LINE.below(10_000), 4),
        pl.when(_EXTENSION.below(5) == 0).then(extension).otherwise(pl.lit("")),
    )


def _address() -> pl.Expr:
    """On two lines, on one with commas, or bare: what must be quoted and what need not be."""
    layout = _LAYOUT.below(4)
    return pl.concat_str(
        _taken(('"', '"', '"', ""), layout),
        _text(_u64(1) + _HOUSE.below(9_800)),
        pl.lit(" "),
        _taken(shop.STREETS, _STREET.below(len(shop.STREETS))),
        _taken(("\n", ", ", ", ", " "), layout),
        _taken(shop.CITIES, _CITY.below(len(shop.CITIES))),
        _taken((", ", ", ", ", ", " "), layout),
        _taken(shop.STATES, _STATE.below(len(shop.STATES))),
        pl.lit(" "),
        _padded(_ZIP.below(100_000), 5),
        _taken(('"', '"', '"', ""), layout),
    )


@cache
def _discounted_prices() -> tuple[str, ...]:
    """By article and, within it, by step of the discount; rounded half up to the cent."""
    return tuple(
        _decimal((product.price_cents * (100 - step * DISCOUNT_STEP) + 50) // 100, 2)
        for product in shop.catalogue()
        for step in range(DISCOUNT_STEPS)
    )


def _ratings() -> Iterable[str]:
    return (_decimal(tenths, 1) for tenths in range(51))


@cache
def _day_names() -> tuple[str, ...]:
    """All the days an order can be about, in ISO form: a look-up is cheaper than formatting."""
    days = (shop.LAST_DAY - shop.FIRST_DAY).days + 1 + COLLECTION_DAYS
    return tuple(date.isoformat(shop.FIRST_DAY + timedelta(days=day)) for day in range(days))


def _prefix(seed: int) -> str:
    """Two letters, so that the orders of neighbouring seeds do not overwrite each other."""
    high, low = divmod(seed % (26 * 26), 26)
    return chr(ord("A") + high) + chr(ord("A") + low)


def _taken(values: Iterable[str], at: pl.Expr) -> pl.Expr:
    return pl.lit(pl.Series(values=list(values), dtype=pl.String)).gather(at)


def _number_of(values: Iterable[int], at: pl.Expr) -> pl.Expr:
    """Unsigned like all the numbers here: a signed one among them would turn them to floats."""
    return pl.lit(pl.Series(values=list(values), dtype=pl.UInt64)).gather(at)


def _padded(number: pl.Expr, width: int) -> pl.Expr:
    """With leading zeros, by cutting off a leading one: far cheaper than `str.zfill`."""
    return _text(number + _u64(10**width)).str.slice(1)


def _text(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.String)


def _u64(number: int) -> pl.Expr:
    return pl.lit(number, dtype=pl.UInt64)


def _decimal(number: int, places: int) -> str:
    whole, rest = divmod(number, 10**places)
    return f"{whole}.{rest:0{places}d}"


def _quoted(cell: str) -> str:
    """By RFC 4180: only where it must be, inner quotes doubled."""
    escaped = cell.replace('"', '""')
    return f'"{escaped}"' if set(cell) & set('",\r\n') else cell
