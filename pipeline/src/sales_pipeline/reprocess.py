"""Reads archived or quarantined objects again, under the contract as it is now.

The ledger knows each object's identity and where its untouched bytes lie, so a second reading has
the precedence of the first, replaces it, and repeated changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sales_api.request import ObjectRef
from sales_api.v1alpha1 import Source
from sales_pipeline import archive
from sales_pipeline.bucket import Bucket
from sales_pipeline.history import Selection, find
from sales_pipeline.run import Work
from sales_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Plan:
    """What a reprocess would do."""

    works: list[Work]
    missing: list[str]
    """Archived keys whose object is there no more."""


def plan(warehouse: Warehouse, bucket: Bucket, selections: Sequence[Selection]) -> Plan:
    """Find the objects of some selections, oldest first, each once."""
    rows = {row["object_id"]: row for s in selections for row in find(warehouse, s)}
    works: list[Work] = []
    missing: list[str] = []
    for row in sorted(rows.values(), key=lambda r: (r["modified_at"], r["object_id"])):
        stored = bucket.head(row["archived_key"])
        if stored is None:
            missing.append(row["archived_key"])
        else:
            works.append(Work(_ref(row), stored, again=True))
    return Plan(works, missing)


def finish(warehouse: Warehouse, bucket: Bucket, source: Source) -> None:
    """Do what a reprocess that was interrupted after its commit has left undone.

    That is a move, whatever the contract is by now. Repeating it changes nothing.
    """
    for row in warehouse.rows("find_unfinished", {"bucket": bucket.name}):
        ref, left_at = _ref(row), row["left_at"]
        if left_at != row["archived_key"]:
            if left := bucket.head(left_at):
                archive.move(bucket, left, row["archived_key"], ref)
            archive.forget_reason(bucket, left_at)
        if row["rows_rejected"] == 0:
            archive.forget_rejects(bucket, source, ref, row["sha256"])


def _ref(row: dict[str, Any]) -> ObjectRef:
    return ObjectRef(
        key=row["key"],
        version_id=row["version_id"],
        etag=row["etag"],
        size=row["size_bytes"],
        modified_at=row["modified_at"],
    )
