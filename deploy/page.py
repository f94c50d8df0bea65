"""Rows for people, and for machines."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby

from deploy.health import Row


def page(rows: Sequence[Row]) -> str:
    """A table for each section, then what is wrong and what to do about it."""
    tables = [_table(list(group)) for _, group in groupby(rows, key=lambda row: row.section)]
    return "\n\n".join([*tables, _verdict(rows)])


def machine(rows: Sequence[Row]) -> str:
    """The same as JSON."""
    sections: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        cells: dict[str, object] = {key.replace(" ", "_"): cell for key, cell in row.cells.items()}
        told = cells | {"well": not row.wrong, "wrong": row.wrong, "mend": row.mend}
        sections.setdefault(row.section, []).append(told)
    return json.dumps({"well": is_well(rows), **sections}, indent=2)


def is_well(rows: Iterable[Row]) -> bool:
    """Whether there is nothing to do."""
    return not any(row.wrong for row in rows)


def wrongs(rows: Iterable[Row]) -> list[str]:
    """A line for each thing that is wrong: what, and what to do."""
    return [f"{row.name}: {row.wrong}. To do: {row.mend}." for row in rows if row.wrong]


def _verdict(rows: Sequence[Row]) -> str:
    if is_well(rows):
        return "All is well."
    return "\n".join(["Not well:", *(f"  {line}" for line in wrongs(rows))])


def _table(rows: Sequence[Row]) -> str:
    # A column that nobody has anything to say in is left out.
    columns = [key for key in rows[0].cells if any(row.cells[key] is not None for row in rows)]
    head = [column.upper() for column in columns]
    lines = [head, *([_cell(row.cells[key]) for key in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    return "" if value is None else str(value)
