"""The bricks of the demo's report: cards, tiles, tables. They know nothing of sales."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from sales_pipeline.demo.markup import Child, element


@dataclass(frozen=True)
class Column:
    """One column of a table; numbers stand to the right, long texts may wrap."""

    head: str
    kind: str | None = None


def number(head: str) -> Column:
    """A column of numbers."""
    return Column(head, "number")


def card(title: str, note: str | None, *children: Child) -> Element:
    """A titled part of the page."""
    explained = element("p", note, class_="note") if note else None
    return element("section", element("h2", title), explained, *children, class_="card")


def tile(name: str, value: str, note: str) -> Element:
    """A headline number."""
    return element(
        "div",
        element("dt", name),
        element("dd", value, element("small", note)),
        class_="tile",
    )


def table(
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Child]],
    total: Sequence[Child] | None = None,
) -> Element:
    """A table whose first cell names its row; too wide a one scrolls within itself.

    Args:
        name: What it holds, for those who do not see it.
        columns: From left to right.
        rows: A cell for each column.
        total: The last line, set apart.
    """
    head = element("tr", *(_cell("th", c.head, c.kind, scope="col") for c in columns))
    foot = element("tfoot", _row(columns, total)) if total else None
    made = element(
        "table",
        element("thead", head),
        element("tbody", *(_row(columns, row) for row in rows)),
        foot,
    )
    return scrolling(name, made)


def scrolling(name: str, wide: Element) -> Element:
    """Lets what is wider than the page scroll, also by keyboard."""
    return element("div", wide, class_="scroll", role="region", aria_label=name, tabindex=0)


def as_table(name: str, content: Element) -> Element:
    """The numbers of a chart, for whoever wants them exactly or cannot see it."""
    return element("details", element("summary", name), content)


def _row(columns: Sequence[Column], cells: Sequence[Child]) -> Element:
    first, *rest = zip(columns, cells, strict=True)
    named = _cell("th", first[1], first[0].kind, scope="row")
    return element("tr", named, *(_cell("td", cell, column.kind) for column, cell in rest))


def _cell(tag: str, content: Child, kind: str | None, **attributes: str) -> Element:
    return element(tag, content, class_=kind, **attributes)
