"""Runs the pipeline and ends it abruptly at a named point, without any hook in the product.

    python -m tests.support.killer POINT -- run            the process kills itself there
    python -m tests.support.killer POINT TEXT -- run       a RuntimeError with this text there

A point is the n-th call of a function, before it begins or after it has returned. The function is
looked up by name and wrapped, so a point that is renamed away fails loudly instead of never being
reached.
"""

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from sales_pipeline import bucket
from sales_pipeline.__main__ import main as program

CHUNK_BYTES = 1000


@dataclass(frozen=True)
class Point:
    """A place in the program's course."""

    target: str
    """`module:attribute` or `module:Class.method`, where the call is made."""
    after: bool
    nth: int = 1
    argument: str | None = None
    """Only calls with this among their first two arguments count."""


def before(target: str, nth: int = 1, argument: str | None = None) -> Point:
    return Point(f"sales_pipeline.{target}", after=False, nth=nth, argument=argument)


def after(target: str, nth: int = 1, argument: str | None = None) -> Point:
    return Point(f"sales_pipeline.{target}", after=True, nth=nth, argument=argument)


LOAD = {
    "before the first look at the object": before("bucket:Bucket.current"),
    "before the lock": before("ledger:lock"),
    "before reading": before("bucket:Bucket.read"),
    "after the first batch is made": after("run:ObjectRun._prepare"),
    "after the first batch is staged": after("load:Load.stage"),
    "in the middle of a COPY": Point("psycopg:Copy.write", after=True, nth=5),
    "between two batches": before("load:Load.stage", nth=3),
    "before the merge": before("load:Load.merge"),
    "after the ledger row": after("ledger:write"),
    "after the customers": after("warehouse:Warehouse.run", argument="merge_customers"),
    "after the products": after("warehouse:Warehouse.run", argument="merge_products"),
    "after the keys are resolved": after("warehouse:Warehouse.run", argument="resolve_keys"),
    "after the new orders": after("warehouse:Warehouse.run", argument="insert_new_sales"),
    "after the known orders": after("warehouse:Warehouse.run", argument="update_won_sales"),
    "after the ledger's counts": after("ledger:write_counts"),
    "before the rejects are stored": before("archive:store_rejects"),
    "after the rejects are stored": after("archive:store_rejects"),
    "before the commit": after("run:ObjectRun._read_in_any_encoding"),
    "after the commit": after("run:ObjectRun.load_once"),
    "before the copy to the archive": before("bucket:Bucket._copy"),
    "between copy and delete": after("bucket:Bucket._copy"),
    "after the delete": after("bucket:Bucket._delete"),
    "before the report": before("summary:report_of"),
}
"""Points on the way of an object that is loaded."""

FIRST_LOAD = {
    "after all orders at once": after("warehouse:Warehouse.run", argument="insert_sales"),
    "after the first counts": after("ledger:write_counts"),
    "after the first commit": after("run:ObjectRun.load_once"),
}
"""Points on the way of an object none of whose orders is known."""

REFUSAL = {
    "before the refusal": before("run:ObjectRun._refuse"),
    "before the refusal's ledger row": before("ledger:write"),
    "after the refusal's ledger row": after("ledger:write"),
    "before the reason is stored": before("archive:store_reason"),
    "after the reason is stored": after("archive:store_reason"),
    "after the refusal's commit": after("run:ObjectRun.load_once"),
    "between copy to quarantine and delete": after("bucket:Bucket._copy"),
    "after the delete of the refused": after("bucket:Bucket._delete"),
}
"""Points on the way of an object that is refused as a whole."""

AGAIN = {
    "before the reprocessed merge": before("load:Load.merge"),
    "before the reprocessed commit": after("run:ObjectRun._read_in_any_encoding"),
    "after the reprocessed commit": after("run:ObjectRun.load_once"),
    "between copy and delete of the reprocessed": after("bucket:Bucket._copy"),
    "before the reason is removed": before("archive:forget_reason"),
}
"""Points on the way of a refused object that is read again and loaded."""

ROTATION = {
    "after the new key is known": after("warehouse:Warehouse.run", argument="insert_pseudonym_key"),
    "after double customers are found": after(
        "warehouse:Warehouse.run", argument="find_double_customers"
    ),
    "after double customers are joined": after(
        "warehouse:Warehouse.run", argument="join_double_customers"
    ),
    "after customers got new pseudonyms": after(
        "warehouse:Warehouse.run", argument="rekey_customers"
    ),
    "after the aliases": after("warehouse:Warehouse.run", argument="insert_aliases"),
    "before the rotated commit": after("run:ObjectRun._read_in_any_encoding"),
    "after the rotated commit": after("run:ObjectRun.load_once"),
}
"""Points on the way of an object whose customers have rows under earlier keys."""

MIGRATION = {
    "before the first migration": after("warehouse:Warehouse.execute_script"),
    "after the first script": after("warehouse:Warehouse.execute_script", nth=2),
    "after the last script": after("warehouse:Warehouse.execute_script", nth=4),
    "before the migration's commit": after("migrate:_apply", nth=2),
}

POINTS = LOAD | FIRST_LOAD | REFUSAL | AGAIN | ROTATION | MIGRATION


def arm(point: Point, act: Callable[[], None]) -> None:
    """Have something happen when a point is reached."""
    module, _, path = point.target.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    function, calls = getattr(owner, name), count(1)

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        due = _counts(point, args) and next(calls) == point.nth
        if due and not point.after:
            act()
        answer = function(*args, **kwargs)
        if due and point.after:
            act()
        return answer

    setattr(owner, name, wrapped)


def _counts(point: Point, args: tuple[object, ...]) -> bool:
    return point.argument is None or point.argument in args[:2]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(text: str) -> None:
    raise RuntimeError(text)


def main() -> None:
    """Arm the point, then be the program."""
    split = sys.argv.index("--")
    point, *texts = sys.argv[1:split]
    # A block is never smaller than what one read gives: small files shall have several.
    bucket.CHUNK_BYTES = CHUNK_BYTES
    arm(POINTS[point], functools.partial(_raise, texts[0]) if texts else _die)
    sys.argv = ["sales-pipeline", *sys.argv[split + 1 :]]
    program()


if __name__ == "__main__":
    main()
