"""What the ledger tells people: one line for each object, or all there is about one."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sales_pipeline.warehouse import Warehouse

_PIPE_WIDTH = 2000


@dataclass(frozen=True)
class Selection:
    """Which rows of the ledger are meant; what is None does not narrow."""

    bucket: str
    key: str | None = None
    prefix: str | None = None
    run: str | None = None
    status: str | None = None
    other_than_contract: str | None = None
    superseded: bool = False
    """Also readings that a later one replaced."""
    limit: int | None = None


def find(warehouse: Warehouse, selection: Selection) -> list[dict[str, Any]]:
    """The ledger rows of a selection, newest first."""
    return warehouse.rows("history", asdict(selection))


def reject_codes(warehouse: Warehouse, object_id: int) -> list[dict[str, Any]]:
    """Why rows of an object were rejected: `code`, `times`, `first_row`."""
    return warehouse.rows("reject_codes", {"object_id": object_id})


def show(console: Console, rows: list[dict[str, Any]]) -> None:
    """One line for each object."""
    if not rows:
        console.print("The ledger has no such object.")
        return
    table = Table("committed", "object", "status", box=None, pad_edge=False)
    for name in ("read", "loaded", "rejected", "dedup"):
        table.add_column(name, justify="right")
    table.add_column("code")
    for row in rows:
        counts = [row[f"rows_{n}"] for n in ("read", "loaded", "rejected", "deduplicated")]
        table.add_row(
            f"{row['committed_at']:%Y-%m-%d %H:%M:%S}",
            escape(row["key"]),
            row["status"],
            *(f"{count:,}" for count in counts),
            row["error_code"] or "",
        )
    # In a pipe each object keeps to its one line, however long its key is.
    wide = console if console.is_terminal else Console(file=console.file, width=_PIPE_WIDTH)
    wide.print(table)


def show_in_full(console: Console, row: dict[str, Any], codes: list[dict[str, Any]]) -> None:
    """All there is about one object."""
    table = Table.grid(padding=(0, 2))
    for name, value in row.items():
        table.add_row(name, "" if value is None else escape(str(value)))
    console.print(table)
    for code in codes:
        console.print(
            f"  {code['code']}: {code['times']:,} times, first in row {code['first_row']:,}"
        )


def as_json(rows: list[dict[str, Any]]) -> str:
    """The rows as one JSON document a line."""
    return "\n".join(json.dumps(row, default=str, ensure_ascii=False) for row in rows)
