"""The demo's outcome as one HTML file: no script, nothing from outside, light and dark. Pure.

Only counts, sums, codes, object keys and product titles get here: no row, and nobody's data.
"""

from collections.abc import Sequence
from decimal import Decimal
from importlib.resources import files
from xml.etree.ElementTree import Element

from sales_api.report import Fate
from sales_pipeline.demo import figures
from sales_pipeline.demo.charts import Caption, Mark, columns, compact, horizontal_bars, line
from sales_pipeline.demo.checks import Check, failed
from sales_pipeline.demo.figures import Category, Month, Product
from sales_pipeline.demo.markup import Child, document, element
from sales_pipeline.demo.outcome import Outcome, remark
from sales_pipeline.demo.report_parts import (
    Column,
    as_table,
    card,
    number,
    scrolling,
    table,
    tile,
)
from sales_pipeline.run import Result

TITLE = "Sales pipeline demo"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PILLS = {
    Fate.LOADED: ("loaded", "Loaded"),
    Fate.ALREADY_LOADED: ("already", "Already loaded"),
    Fate.QUARANTINED: ("quarantined", "Quarantined"),
    Fate.GONE: ("failed", "Gone"),
    Fate.FAILED: ("failed", "Failed"),
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even if something from outside got in here, a browser would not fetch it."""


def render(outcome: Outcome, checks: Sequence[Check]) -> str:
    """The whole page."""
    body = element(
        "main",
        _header(outcome),
        _verdict(outcome, checks),
        _tiles(outcome),
        _months(outcome.figures.months),
        element(
            "div",
            _categories(outcome.figures.categories),
            _products(outcome.figures.products),
            class_="pair",
        ),
        _rejects(outcome),
        _objects(outcome),
        _queries(),
        _footer(outcome),
    )
    return document(element("html", _head(), element("body", body), lang="en"))


def _head() -> Element:
    style = (files("sales_pipeline") / "demo" / "report.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", TITLE),
        element("style", style),
    )


def _header(outcome: Outcome) -> Element:
    return element(
        "header",
        element("h1", TITLE),
        element(
            "p",
            f"{outcome.delivered:,} made-up orders in {_files(len(outcome.generated))}, about"
            f" {outcome.spec.error_rate:.1%} of them broken on purpose; then a file that breaks"
            " off in its middle, and the first file once more. All of it went through the real"
            " pipeline into a real PostgreSQL, started for this alone.",
        ),
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _verdict(outcome: Outcome, checks: Sequence[Check]) -> Element:
    broken, rows = failed(checks), outcome.rows
    title = f"{len(broken)} of {len(checks)} checks failed" if broken else "The books balance"
    return element(
        "section",
        element("h2", title),
        element(
            "p",
            element("strong", f"{outcome.delivered:,}"),
            " rows generated",
            " = " if outcome.delivered == outcome.accounted else ", but ",
            element("strong", f"{rows.loaded:,}"),
            " loaded + ",
            element("strong", f"{rows.rejected:,}"),
            " rejected + ",
            element("strong", f"{rows.deduplicated:,}"),
            " deduplicated",
            class_="equation",
        ),
        element("ul", *map(_check, checks), class_="checks"),
        class_="card verdict broken" if broken else "card verdict",
    )


def _check(check: Check) -> Element:
    return element(
        "li",
        element("span", "✓" if check.holds else "✗", class_="mark", aria_hidden="true"),
        element(
            "span",
            check.claim if check.holds else f"Does not hold: {check.claim}",
            element("small", check.found),
        ),
        class_=None if check.holds else "broken",
    )


def _tiles(outcome: Outcome) -> Element:
    rows, sums = outcome.rows, outcome.figures
    audit, seconds = sums.audit, sum(r.seconds for r in outcome.sales)
    return element(
        "dl",
        tile("Files", f"{len(outcome.sales)}", "plus one broken, and one again"),
        tile("Rows loaded", f"{rows.loaded:,}", f"of {rows.read:,} read"),
        tile("Rows rejected", f"{rows.rejected:,}", f"{_share(rows.rejected, rows.read)} of them"),
        tile("Rows a second", f"{outcome.rows_per_second:,.0f}", f"{seconds:.1f} s for all files"),
        tile("Revenue", compact(float(sums.revenue)), f"{sums.revenue:,.2f}"),
        tile("Profit", compact(float(sums.profit)), f"{_share(sums.profit, sums.revenue)} of it"),
        tile("Customers", f"{audit.customers:,}", "known by pseudonym only"),
        tile("Products", f"{audit.products:,}", f"in {len(sums.categories)} categories"),
        class_="tiles",
    )


def _share(part: Decimal | int, whole: Decimal | int) -> str:
    return f"{float(part) / float(whole):.1%}" if whole else "none"


def _months(months: Sequence[Month]) -> Element:
    revenue = [Mark(_month(m), float(m.revenue), compact(float(m.revenue))) for m in months]
    profit = [Mark(_month(m), float(m.profit), compact(float(m.profit))) for m in months]
    exact = [(_month(m), f"{m.revenue:,.2f}", f"{m.profit:,.2f}") for m in months]
    span = f"{_month(months[0])} to {_month(months[-1])}" if months else "no sales"
    above = line(Caption("revenue", "Revenue by month", f"Revenue by month, {span}."), revenue)
    below = columns(Caption("profit", "Profit by month", f"Profit by month, {span}."), profit)
    both = element("div", above, element("h3", "Profit"), below, class_="plot")
    heads = (Column("Month"), number("Revenue"), number("Profit"))
    return card(
        "Revenue by month",
        "By date of the order; profit is what the price leaves over the cost.",
        scrolling("Revenue and profit by month", both),
        as_table("Show as a table", table("Revenue by month", heads, exact)),
    )


def _month(month: Month) -> str:
    return f"{_MONTHS[month.month - 1]} {month.year}"


def _categories(categories: Sequence[Category]) -> Element:
    marks = [
        Mark(c.product_category, float(c.revenue), compact(float(c.revenue)), f"{c.units:,} units")
        for c in categories
    ]
    heads = (Column("Category"), number("Revenue"), number("Units"), number("Profit"))
    exact = [
        (c.product_category, f"{c.revenue:,.2f}", f"{c.units:,}", f"{c.profit:,.2f}")
        for c in categories
    ]
    about = Caption(
        "categories", "Revenue by category", "Product categories by revenue, the largest first."
    )
    return card(
        "Revenue by category",
        "What each shelf of the shop brought in.",
        horizontal_bars(about, marks),
        as_table("Show as a table", table("Revenue by category", heads, exact)),
    )


def _products(products: Sequence[Product]) -> Element:
    marks = [
        Mark(
            p.product_title,
            float(p.revenue),
            compact(float(p.revenue)),
            f"{p.units:,} units, {p.product_category}",
        )
        for p in products
    ]
    heads = (Column("Product"), Column("Category"), number("Revenue"), number("Units"))
    exact = [
        (p.product_title, p.product_category, f"{p.revenue:,.2f}", f"{p.units:,}") for p in products
    ]
    about = Caption("products", "Top 10 products", "Products by revenue, the first ten.")
    return card(
        "Top 10 products",
        "By revenue.",
        horizontal_bars(about, marks, tone="second"),
        as_table("Show as a table", table("Top 10 products", heads, exact)),
    )


def _rejects(outcome: Outcome) -> Element:
    found, injected = outcome.figures.codes, outcome.injected
    marks = [Mark(c, times, f"{times:,} of {injected[c]:,}") for c, times in found.items()]
    known = [*found, *sorted(injected.keys() - found.keys())]
    exact = [(element("code", c), f"{injected[c]:,}", f"{found.get(c, 0):,}") for c in known]
    heads = (Column("Code"), number("Put in"), number("Found"))
    about = Caption("rejects", "Rejected rows by code", "Why rows were rejected, commonest first.")
    return card(
        "Why rows were rejected",
        "How often each code was given, of how often the generator broke a row in that way. The"
        " rows lie in quarantine, personal data masked.",
        horizontal_bars(about, marks, width=1040, tone="warm"),
        as_table("Show as a table", table("Rejected rows by code", heads, exact)),
    )


def _objects(outcome: Outcome) -> Element:
    heads = (
        Column("Object"),
        Column("Fate"),
        *map(number, ("Read", "Loaded", "Rejected", "Deduplicated", "Seconds")),
        Column("Remark", "wide"),
    )
    rows = outcome.rows
    counts = (rows.read, rows.loaded, rows.rejected, rows.deduplicated)
    seconds = sum(r.seconds for r in outcome.results)
    total = ("All", None, *(f"{count:,}" for count in counts), f"{seconds:.2f}", None)
    return card(
        "Files",
        "In the order of delivery. Afterwards each lies under processed/ or quarantine/.",
        table("Files", heads, [_object(r) for r in outcome.results], total),
    )


def _object(result: Result) -> tuple[Child, ...]:
    kind, words = _PILLS[result.fate]
    rows = result.rows
    counts = (rows.read, rows.loaded, rows.rejected, rows.deduplicated)
    return (
        element("code", result.key),
        element("span", words, class_=f"pill {kind}"),
        *(f"{count:,}" for count in counts),
        f"{result.seconds:.2f}",
        remark(result),
    )


def _queries() -> Element:
    return card(
        "The two queries",
        "Asked with the login of a dashboard, which may read and nothing else; search_path is the"
        " schema.",
        *(element("pre", figures.query(name)) for name in (figures.BY_CATEGORY, figures.BY_MONTH)),
    )


def _footer(outcome: Outcome) -> Element:
    return element(
        "footer",
        element(
            "p",
            f"Made {outcome.started_at:%Y-%m-%d %H:%M} UTC in {outcome.seconds:.1f} s, seed"
            f" {outcome.spec.seed}. The orders are made up: the same seed gives the same ones."
            " This file needs nothing but itself.",
        ),
    )
