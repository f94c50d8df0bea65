"""Numbers, dates and scales as foreign files write them; what fits no format is no value."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.v1alpha1 import Number, Rescale
from sales_pipeline.mapping import UNREADABLE, iso_date, plain_number, rescaled

PLAIN = Number()
COMMA = Number(thousands=",")
GERMAN = Number(decimal=",", thousands=".", strip=["EUR"])
FRENCH = Number(decimal=",", thousands=" ")
SWISS = Number(thousands="'", strip=["CHF", "Fr."])


@pytest.mark.parametrize(
    ("text", "number", "plain"),
    [
        ("12.50", PLAIN, "12.50"),
        ("007", PLAIN, "007"),
        ("$12.50", PLAIN, "12.50"),
        ("12.50 €", PLAIN, "12.50"),
        ("£ 12", PLAIN, "12"),
        ("₹12", PLAIN, "12"),
        ("20%", PLAIN, "20"),
        ("20 %", PLAIN, "20"),
        ("+5", PLAIN, "5"),
        ("-5", PLAIN, "-5"),
        ("5-", PLAIN, "-5"),
        ("- 5", PLAIN, "-5"),
        ("-$5", PLAIN, "-5"),
        ("$-5", PLAIN, "-5"),
        ("(5.00)", PLAIN, "-5.00"),
        ("($5.00)", PLAIN, "-5.00"),
        ("$(5.00)", PLAIN, "-5.00"),
        ("( 5 )", PLAIN, "-5"),
        ("1,234.50", COMMA, "1234.50"),
        ("$1,234,567.89", COMMA, "1234567.89"),
        ("1234.5", COMMA, "1234.5"),
        ("1.234,50", GERMAN, "1234.50"),
        ("(1.234,50 EUR)", GERMAN, "-1234.50"),
        ("EUR 12,5", GERMAN, "12.5"),
        ("1 234,50", FRENCH, "1234.50"),
        ("1\u202f234\xa0567,50\xa0€", FRENCH, "1234567.50"),
        ("1\u2009234", FRENCH, "1234"),
        ("CHF 1'234.50", SWISS, "1234.50"),
        ("Fr. 5", SWISS, "5"),
        # What is not a number so written is never made one.
        ("", PLAIN, None),
        ("abc", PLAIN, None),
        ("$", PLAIN, None),
        ("-", PLAIN, None),
        ("()", PLAIN, None),
        ("1,234.50", PLAIN, None),
        ("1 234", PLAIN, None),
        ("12$50", PLAIN, None),
        ("1%2", PLAIN, None),
        ("12€50", FRENCH, None),
        ("1EUR2", GERMAN, None),
        ("1,23", COMMA, None),
        ("1,2345", COMMA, None),
        ("1234,567", COMMA, None),
        ("1,234,56", COMMA, None),
        (",234", COMMA, None),
        ("1.23", GERMAN, None),
        ("1.234.5", GERMAN, None),
        ("1,2,3", GERMAN, None),
        ("1 23", FRENCH, None),
        ("12 3456", FRENCH, None),
        ("1.5", FRENCH, None),
        ("5.", PLAIN, None),
        (".5", PLAIN, None),
        ("1e3", PLAIN, None),
        ("NaN", PLAIN, None),
        ("0x1F", PLAIN, None),
        ("\uff11\uff12", PLAIN, None),
        ("(5", PLAIN, None),
        ("5)", PLAIN, None),
        ("((5))", PLAIN, None),
        ("(-5)", PLAIN, None),
        ("-(5)", PLAIN, None),
        ("--5", PLAIN, None),
        ("-5-", PLAIN, None),
        ("+5-", PLAIN, None),
        ("5+", PLAIN, None),
        (UNREADABLE, PLAIN, None),
    ],
)
def test_number_formats(text, number, plain):
    """Signs, separators and words are taken where they belong, and nowhere else."""
    assert plain_number(text, number) == (UNREADABLE if plain is None else plain)


@given(st.text("0123456789.,-+()$€% 'EUR", max_size=12), st.sampled_from([COMMA, GERMAN, FRENCH]))
def test_no_digit_is_lost_or_gained(text, number):
    """What is read as a number has just the digits of its text, in their order."""
    plain = plain_number(text, number)

    if plain != UNREADABLE:
        assert [c for c in plain if c.isdigit()] == [c for c in text if c.isdigit()]
        assert Decimal(plain).is_finite()


@given(
    st.decimals(min_value=0, max_value=10**9, places=2),
    st.sampled_from([",", ".", " ", "'"]),
    st.sampled_from(["{}", "-{}", "({})", "{}-", "$ {}", "{} %"]),
)
def test_number_written_and_read_is_the_same(value, thousands, shape):
    """Grouped, signed and decorated in any way, the amount comes back exact."""
    decimal = "," if thousands == "." else "."
    whole, _, cents = f"{value:,.2f}".rpartition(".")
    text = shape.format(whole.replace(",", thousands) + decimal + cents)

    plain = plain_number(text, Number(decimal=decimal, thousands=thousands))

    negative = shape in {"-{}", "({})", "{}-"}
    assert Decimal(plain) == (-value if negative else value)


@pytest.mark.parametrize(
    ("text", "formats", "iso"),
    [
        ("31/01/2024", ["%d/%m/%Y"], "2024-01-31"),
        ("1/5/2019", ["%m/%d/%Y"], "2019-01-05"),
        ("20240131", ["%Y-%m-%d", "%Y%m%d"], "2024-01-31"),
        ("05/06/2024", ["%d/%m/%Y", "%m/%d/%Y"], "2024-06-05"),
        ("31 Jan 24", ["%d %b %y"], "2024-01-31"),
        ("2024-01-31T23:59:00+0200", ["%Y-%m-%dT%H:%M:%S%z"], "2024-01-31"),
        ("0999-01-01", ["%Y-%m-%d"], "0999-01-01"),
        ("2024-02-30", ["%Y-%m-%d"], None),
        ("31/01/2024", ["%m/%d/%Y"], None),
        ("2024-01-31", ["%d/%m/%Y"], None),
        ("31/01/2024 ", ["%d/%m/%Y"], None),
        ("x", ["%d/%m/%Y", "%Y-%m-%d"], None),
        ("0000-01-01", ["%Y-%m-%d"], None),
    ],
)
def test_date_formats(text, formats, iso):
    """The first format that fits the whole text decides; a date that is none is none."""
    assert iso_date(text, formats) == (iso or UNREADABLE)


@given(st.dates(), st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %B %Y", "%Y-%j"]))
def test_date_written_and_read_is_the_same(day, fmt):
    """For every day there is."""
    text = day.strftime(fmt.replace("%Y", f"{day.year:04}"))

    assert iso_date(text, ["%H:%M %Y-%m-%d", fmt]) == day.isoformat()
    assert date.fromisoformat(iso_date(text, [fmt])) == day


def scale(low, high, to_low, to_high, decimals=2):
    return Rescale(from_min=low, from_max=high, to_min=to_low, to_max=to_high, decimals=decimals)


@pytest.mark.parametrize(
    ("text", "rescale", "value"),
    [
        ("0", scale("0", "10", "1", "5"), "1.00"),
        ("10", scale("0", "10", "1", "5"), "5.00"),
        ("9.1", scale("0", "10", "1", "5"), "4.64"),
        ("0.125", scale("0", "1", "0", "100", 0), "13"),
        ("0.5", scale("0", "1", "5", "1", 1), "3.0"),
        ("-1", scale("-1", "1", "0", "1"), "0.00"),
        ("1.00005", scale("0", "9", "0", "9", 4), "1.0001"),
        ("0.00499999999999999999", scale("0", "1", "999999998", "999999999"), "999999998.00"),
        ("10.001", scale("0", "10", "1", "5"), None),
        ("-0.1", scale("0", "10", "1", "5"), None),
        ("1e1", scale("0", "10", "1", "5"), None),
        ("NaN", scale("0", "10", "1", "5"), None),
        ("", scale("0", "10", "1", "5"), None),
        ("\uff15", scale("0", "10", "1", "5"), None),
        (UNREADABLE, scale("0", "10", "1", "5"), None),
    ],
)
def test_rescale(text, rescale, value):
    """Linear and half-up; what lies outside the range it comes from is not a value."""
    assert rescaled(text, rescale) == (UNREADABLE if value is None else value)


@given(
    st.decimals(min_value=0, max_value=7, places=12),
    st.decimals(min_value=-(10**8), max_value=10**8, places=6),
    st.decimals(min_value=-(10**8), max_value=10**8, places=6),
    st.integers(0, 4),
)
def test_rescale_is_exact(value, to_low, to_high, decimals):
    """No digit is lost on the way to the one rounding, half away from zero."""
    exact = Fraction(to_low) + Fraction(value) * (Fraction(to_high) - Fraction(to_low)) / 7
    scaled = abs(exact) * 10**decimals
    rounded = int(scaled + Fraction(1, 2)) * (-1 if exact < 0 else 1)

    got = rescaled(f"{value:f}", scale("0", "7", f"{to_low:f}", f"{to_high:f}", decimals))

    assert Decimal(got) * 10**decimals == rounded
    assert Decimal(got) == Decimal(got).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
