"""Tells the results: a table on the console, a JSON file, a block of the documentation."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

VERDICTS = {True: "holds", False: "missed", None: "-"}


@dataclass(frozen=True)
class Marks:
    """The comments around a block of the documentation that is written by a program."""

    name: str

    @property
    def begin(self) -> str:
        """The line before it."""
        return f"<!-- {self.name}: begin -->"

    @property
    def end(self) -> str:
        """The line after it."""
        return f"<!-- {self.name}: end -->"


MARKS = Marks("results")


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the result file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def table(document: dict[str, Any]) -> Table:
    """All measures, each with its sides below it."""
    title = "QUICK RUN: small sizes, no figures" if document["quick"] else "Benchmarks"
    shown = Table(title=title, caption=_caption(document))
    shown.add_column("Measure")
    for name in ("median s", "rows/s", "peak MiB", "value", "target", "verdict"):
        shown.add_column(name, justify="right")
    for measure in document["measures"]:
        target, verdict = measure["target"] or "-", VERDICTS[measure["holds"]]
        shown.add_section()
        shown.add_row(
            f"[bold]{measure['id']} {measure['title']}",
            "",
            "",
            "",
            _value(measure),
            target,
            verdict,
        )
        for cells in _side_rows(measure):
            shown.add_row("  " + cells[0], *cells[1:])
    return shown


def notes(document: dict[str, Any]) -> list[str]:
    """What else there is to say of the measures."""
    return [f"{m['id']}: {note}" for m in document["measures"] for note in m["notes"]]


def write_docs(page: Path, document: dict[str, Any]) -> None:
    """Replace the results in the documentation.

    Raises:
        ValueError: The results are of a quick run, or the page has no place for them.
    """
    if document["quick"]:
        raise ValueError("a quick run gives no figures worth writing down")
    replace_block(page, MARKS, _markdown(document))


def replace_block(page: Path, marks: Marks, lines: Iterable[str]) -> None:
    """Put lines between two marks of a page, in place of what is there.

    Raises:
        ValueError: The page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    if text.count(marks.begin) != 1 or text.count(marks.end) != 1:
        raise ValueError(f"{page} lacks the two markers")
    before, rest = text.split(marks.begin)
    after = rest.split(marks.end)[1]
    whole = "\n".join([f"{before}{marks.begin}", *lines, f"{marks.end}{after}"])
    page.write_text(whole, encoding="utf-8")


def _markdown(document: dict[str, Any]) -> Iterator[str]:
    yield _caption(document)
    yield ""
    yield "| | measure | value | target | verdict |"
    yield "|---|---|---|---|---|"
    for m in document["measures"]:
        cells = (m["id"], m["value_is"], _value(m), m["target"] or "", VERDICTS[m["holds"]])
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "| | side | median s | rows/s | peak MiB |"
    yield "|---|---|---|---|---|"
    for m in document["measures"]:
        for cells in _side_rows(m):
            yield f"| {m['id']} | {' | '.join(cells)} |"
    if told := notes(document):
        yield from ["", *(f"- {note}" for note in told)]


def _side_rows(measure: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for side in measure["sides"]:
        speed = f"{side['median_rows_per_second']:,}"
        yield side["name"], f"{side['median_seconds']:.2f}", speed, f"{side['peak_mib']:.0f}"


def _value(measure: dict[str, Any]) -> str:
    digits = 2 if measure["unit"] == "x" else 0
    return f"{measure['value']:.{digits}f} {measure['unit']}"


def _caption(document: dict[str, Any]) -> str:
    machine, options = document["machine"], document["options"]
    return (
        f"{document['started_at'][:10]}, commit {machine['commit']}: {machine['cores']} cores"
        f" ({machine['processor']}), {machine['memory']} of memory, Python {machine['python']},"
        f" PostgreSQL {document['postgres']['version']}; {options['rows']:,} rows,"
        f" {options['repeats']} repeats."
    )
