"""The model of the sales record: what each column takes, and the codes of all it does not."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from pydantic import ValidationError

from sales_api.v1alpha1 import Rules
from sales_pipeline.codes import RowCode
from sales_pipeline.schema import SalesRecord, check
from tests.support import nasty
from tests.support.sales_file import sale

ANY, STRICT = Rules(), Rules(delivery_not_before_order=True)
TEXTS = {
    "customer_name": 255,
    "customer_phone": 50,
    "customer_address": 500,
    "product_title": 500,
    "product_category": 100,
}
PRICES = ["discounted_price", "original_price"]
DATES = ["delivery_date", "data_collected_at", "order_date"]


def row(**changes):
    return {**sale("ORD-000001"), **changes}


def record(**changes):
    found = check(row(**changes), ANY)
    assert isinstance(found, SalesRecord)
    return found


def codes(**changes):
    found = check(row(**changes), ANY)
    return [] if isinstance(found, SalesRecord) else [code.value for code in found]


def test_values_have_their_types():
    """Money is decimal, days are dates, and text stays text."""
    assert record().model_dump(exclude_none=True) == {
        "order_id": "ORD-000001",
        "order_line": 1,
        "customer_name": "Ada King Lovelace",
        "customer_email": "ada@example.com",
        "customer_phone": "+1 202 555 0143",
        "customer_address": "12 St James's Square\nLondon",
        "product_title": "Analytical engine",
        "product_rating": Decimal("4.50"),
        "discounted_price": Decimal("80.00"),
        "original_price": Decimal("100.00"),
        "discount_percentage": 20,
        "is_best_seller": True,
        "delivery_date": date(2024, 3, 5),
        "data_collected_at": date(2024, 3, 1),
        "order_date": date(2024, 3, 2),
        "product_category": "Computers",
        "quantity": 2,
    }


def test_every_fault_of_a_row_is_told_once():
    """Not only the first."""
    assert codes(order_id="1", quantity=None, order_date="soon", customer_email=None) == [
        "customer_email.missing",
        "order_id.length",
        "order_date.format",
        "quantity.missing",
    ]


@pytest.mark.parametrize("order_id", ["0000000042", "é" * 10, "a b,c\"d'\n|", "\U0001d11e" * 10])
def test_order_id_of_ten_characters(order_id):
    """Characters, not bytes, and leading zeros are some of them."""
    assert record(order_id=f" {order_id}\n").order_id == order_id


@pytest.mark.parametrize("order_id", ["", "123456789", "12345678901", " 123456789"])
def test_order_id_of_another_length(order_id):
    """Blanks around it do not count."""
    assert codes(order_id=order_id) == ["order_id.length"]


@pytest.mark.parametrize(("name", "longest"), TEXTS.items())
def test_text_lengths(name, longest):
    """From one character to the most that the column takes, after stripping."""
    assert getattr(record(**{name: f"\u3000{'é' * longest} "}), name) == "é" * longest
    assert codes(**{name: "é" * (longest + 1)}) == [f"{name}.length"]
    assert codes(**{name: " \n"}) == [f"{name}.length"]
    assert codes(**{name: None}) == [f"{name}.missing"]


@pytest.mark.parametrize("name", ["order_id", *TEXTS])
@pytest.mark.parametrize("text", ["\x00", "a\ufffdb", "123456789\x00", "\ufffd" * 1000])
def test_forbidden_characters(name, text):
    """They are the first thing told of a text, whatever its length."""
    assert codes(**{name: text}) == [f"{name}.characters"]


@pytest.mark.parametrize("text", nasty.MAILS_RIGHT)
def test_addresses(text):
    """Unusual ones too; the domain comes out in lower case."""
    address = record(customer_email=f" {text} ").customer_email

    _, at, domain = address.rpartition("@")
    assert at
    assert domain == domain.lower()


@pytest.mark.parametrize("text", [t for t in nasty.MAILS_WRONG if t == t.strip()])
def test_addresses_that_are_none(text):
    """Nobody can have such an address."""
    assert codes(customer_email=text) == ["customer_email.format"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", "1.00"), ("+1.5", "1.50"), ("05", "5.00"), ("1.990", "1.99"), ("4.0000000000", "4.00")],
)
@pytest.mark.parametrize("name", ["product_rating", *PRICES])
def test_decimals(name, text, value):
    """Zeros that change nothing may be there; the value has two places."""
    assert str(getattr(record(**{name: text}), name)) == value


@pytest.mark.parametrize("name", ["product_rating", *PRICES])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "type"),
        ("1,5", "type"),
        ("1e3", "type"),
        ("NaN", "type"),
        ("Infinity", "type"),
        ("5.", "type"),
        (".5", "type"),
        ("1_0", "type"),
        ("\uff15", "type"),
        ("1" * 41, "type"),
        ("1.999", "scale"),
        ("-1.001", "scale"),
        ("-1", "range"),
        ("0", "range"),
        ("100000000", "range"),
        (None, "missing"),
    ],
)
def test_decimals_that_are_none(name, text, kind):
    """Type before scale before range."""
    assert codes(**{name: text}) == [f"{name}.{kind}"]


def test_decimal_ranges():
    """Both ends belong to the range."""
    assert codes(product_rating="1", discounted_price="0.01", original_price="99999999.99") == []
    assert codes(product_rating="5.00") == []
    assert codes(product_rating="5.01", discounted_price="0.00", original_price="1" * 9) == [
        "product_rating.range",
        "discounted_price.range",
        "original_price.range",
    ]
    assert codes(product_rating="0.99") == ["product_rating.range"]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("discount_percentage", 0, 100),
        ("quantity", 1, 2_147_483_647),
        ("order_line", 1, 2_147_483_647),
    ],
)
def test_integers(name, low, high):
    """Whole numbers from end to end of their range, in plain digits."""
    for text in (str(low), f"+{low}", f"00{low}", str(high)):
        assert getattr(record(**{name: text}), name) == int(text)
    for text in (str(low - 1), str(high + 1), "9" * 40):
        assert codes(**{name: text}) == [f"{name}.range"]
    for text in ("", "1.0", "1e1", "ten", "1 0", "\u0661", "9" * 41):
        assert codes(**{name: text}) == [f"{name}.type"]
    assert codes(**{name: None}) == [f"{name}.missing"]


def test_flags():
    """Three words for each, in any case of letters; none that only looks like one."""
    for text in nasty.FLAGS_RIGHT:
        assert record(is_best_seller=text).is_best_seller is (text.lower() in {"true", "yes", "1"})
    for text in [*nasty.FLAGS_WRONG, ""]:
        assert codes(is_best_seller=text) == ["is_best_seller.type"]
    assert codes(is_best_seller=None) == ["is_best_seller.missing"]


@pytest.mark.parametrize("name", DATES)
def test_dates(name):
    """Days of the calendar in the one long form of ISO 8601."""
    for text in nasty.DATES_RIGHT:
        assert getattr(record(**{name: text}), name) == date.fromisoformat(text)
    for text in nasty.DATES_WRONG:
        if text == text.strip():
            assert codes(**{name: text}) == [f"{name}.format"]
    assert codes(**{name: None}) == [f"{name}.missing"]


def test_delivery_before_order_is_a_switch():
    """Off unless the contract turns it on; the same day is not before."""
    early = row(order_date="2024-03-02", delivery_date="2024-03-01")

    assert isinstance(check(early, ANY), SalesRecord)
    assert check(early, STRICT) == [RowCode.DELIVERY_DATE_BEFORE_ORDER]
    assert isinstance(check({**early, "delivery_date": "2024-03-02"}, STRICT), SalesRecord)


def test_identity_is_address_or_key():
    """The one that the contract has must be there; the other is not asked for."""
    keyed = {name: value for name, value in row().items() if name != "customer_email"}

    assert check({**keyed, "customer_key": "ACME"}, ANY).customer_key == "ACME"
    for key, kind in ((None, "missing"), ("x" * 4097, "length"), ("\ufffd", "characters")):
        assert check({**keyed, "customer_key": key}, ANY) == [RowCode(f"customer_key.{kind}")]


@given(nasty.rows())
def test_canonical_spelling_means_the_same(values):
    """What a record is written as is read as the same record."""
    found = check(values, ANY)

    if isinstance(found, SalesRecord):
        spelled = {name: text for name, text in found.to_text().items() if text is not None}
        assert check(spelled, ANY) == found


@given(nasty.rows())
def test_codes_belong_to_the_row_and_never_repeat(values):
    """Each names a column of the row; whatever is in the row, nothing else comes out."""
    found = check(values, ANY)

    if not isinstance(found, SalesRecord):
        assert found
        assert len(set(found)) == len(found)
        assert {code.field for code in found} <= values.keys()


def test_error_of_the_model_quotes_no_input():
    """Whoever logs it by mistake logs no cell."""
    with pytest.raises(ValidationError) as caught:
        SalesRecord.model_validate(row(quantity="Ada Lovelace", order_id="ada@example.com"))

    assert "Lovelace" not in str(caught.value)
    assert "example" not in str(caught.value)
