"""Tells what was measured on the cluster: a table on the console, a block of the documentation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.report import VERDICTS, Marks, replace_block

MARKS = Marks("cluster results")
_WHOLE = 100


def table(document: dict[str, Any]) -> Table:
    """All figures, by measure."""
    title = "QUICK RUN: small numbers, no figures" if document["quick"] else "On the cluster"
    whole = Table(title=title)
    for name in ("", "measure"):
        whole.add_column(name)
    for name in ("value", "target", "verdict"):
        whole.add_column(name, justify="right")
    for found in document["measurements"]:
        whole.add_section()
        for cells in _rows(found):
            whole.add_row(*cells)
    return whole


def notes(document: dict[str, Any]) -> list[str]:
    """What else there is to say, and when each was measured."""
    return [
        f"{', '.join(found['ids'])}: {note}"
        for found in document["measurements"]
        for note in (_taken(found), *found["notes"])
    ]


def write_docs(page: Path, document: dict[str, Any]) -> None:
    """Replace the results in the documentation.

    Raises:
        ValueError: The results are of a quick run, or the page has no place for them.
    """
    if document["quick"]:
        raise ValueError("a quick run gives no figures worth writing down")
    replace_block(page, MARKS, _markdown(document))


def _markdown(document: dict[str, Any]) -> Iterator[str]:
    yield "| | measure | value | target | verdict |"
    yield "|---|---|---|---|---|"
    for found in document["measurements"]:
        for cells in _rows(found):
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield from (f"- {note}" for note in notes(document))


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for figure in found["figures"]:
        value = f"{shown(figure['value'])} {figure['unit']}".strip()
        verdict = VERDICTS[figure["holds"]]
        yield figure["id"], figure["what"], value, figure["target"] or "", verdict


def shown(value: float) -> str:
    """A number with three digits that count, more only where it is larger than that."""
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"


def _taken(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"{found['at'][:10]}, commit {machine['commit']}: {machine['cores']} cores"
        f" ({machine['processor']}), {machine['memory']} of memory,"
        f" Kubernetes {found['kubernetes']}, load {found['load_1m']} before it began"
    )
