"""Tells on the terminal what the demo does, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sales_pipeline.demo.checks import Check
from sales_pipeline.demo.figures import Category, Month
from sales_pipeline.demo.outcome import Outcome, remark
from sales_pipeline.run import Result


class Narrator:
    """The demo's voice on one console."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(escape(text), soft_wrap=True, highlight=False)

    def done(self, text: str, *, holds: bool = True) -> None:
        """A line about something that is done, or holds, or does not."""
        plain = self.console.options.ascii_only
        good, bad = ("ok", "FAILED") if plain else ("✓", "✗")
        mark = f"[bold green]{good}[/]" if holds else f"[bold red]{bad}[/]"
        self.console.print(f"{mark} {escape(text)}", soft_wrap=True, highlight=False)

    def outcome(self, outcome: Outcome, checks: Sequence[Check]) -> None:
        """Everything there is to tell, in tables."""
        for made in (
            objects(outcome.results),
            rejects(outcome),
            categories(outcome.figures.categories),
            months(outcome.figures.months),
        ):
            self.console.print()
            self.console.print(made)
        self.console.print()
        for check in checks:
            self.done(f"{check.claim}: {check.found}", holds=check.holds)

    def kept(self, folder: Path, commands: Sequence[str]) -> None:
        """Where things are, and how to look at them."""
        self.say(f"\nKept in {folder}: objects/ as files, servers/ with data and logs.")
        self.say("The database is served again, asked and stopped with:")
        for command in commands:
            self.say(f"  {command}")


def objects(results: Sequence[Result]) -> Table:
    """What became of each object."""
    table = _table(
        "Objects", ("object", "fate"), ("read", "loaded", "rejected", "dedup", "seconds")
    )
    table.add_column("remark", style="dim", overflow="fold")
    for r in results:
        counts = (r.rows.read, r.rows.loaded, r.rows.rejected, r.rows.deduplicated)
        numbers = [f"{count:,}" for count in counts]
        table.add_row(escape(r.key), r.fate.value, *numbers, f"{r.seconds:.2f}", escape(remark(r)))
    return table


def rejects(outcome: Outcome) -> Table:
    """Each code: how often it was put in, how often it was found."""
    injected, found = outcome.injected, Counter(outcome.figures.codes)
    table = _table("Rejected rows", ("code",), ("put in", "found"))
    for code, _ in (found | injected).most_common():
        table.add_row(escape(code), f"{injected[code]:,}", f"{found[code]:,}")
    return table


def categories(rows: Sequence[Category]) -> Table:
    """The first example query's answer."""
    table = _table(
        "Revenue by product category", ("product_category",), ("revenue", "units", "profit")
    )
    for row in rows:
        numbers = (f"{row.revenue:,.2f}", f"{row.units:,}", f"{row.profit:,.2f}")
        table.add_row(escape(row.product_category), *numbers)
    return table


def months(rows: Sequence[Month]) -> Table:
    """The second example query's answer."""
    table = _table("Revenue and profit by month", (), ("year", "month", "revenue", "profit"))
    for row in rows:
        table.add_row(str(row.year), str(row.month), f"{row.revenue:,.2f}", f"{row.profit:,.2f}")
    return table


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table
