"""What the warehouse remembers of objects, and what that means for the next one.

An object is known by (bucket, key, version or ETag, modification time) and the contract it was
read under, never by a time cursor. The decisions here are pure; the reading and writing of the
ledger is done inside the transaction that loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sales_api.report import Fate, Rows
from sales_api.request import ObjectRef
from sales_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Entry:
    """One row of the ledger."""

    object_id: int
    ref: ObjectRef
    sha256: str
    contract_hash: str
    status: str
    error_code: str | None
    archived_key: str
    rows: Rows

    @property
    def fate(self) -> Fate:
        """What became of the object then, as it is told now."""
        return Fate.ALREADY_LOADED if self.status == "loaded" else Fate.QUARANTINED


@dataclass(frozen=True)
class Record:
    """What is to be written of one object."""

    object_id: int
    ingest: str
    bucket: str
    ref: ObjectRef
    sha256: str
    contract_hash: str
    run: str
    attempt: int
    archived_key: str
    started_at: datetime
    error_code: str | None = None

    def params(self) -> dict[str, Any]:
        """The parameters of sql/insert_object.sql."""
        return {
            "object_id": self.object_id,
            "ingest": self.ingest,
            "bucket": self.bucket,
            "key": self.ref.key,
            "version_id": self.ref.version_id,
            "etag": self.ref.etag,
            "size_bytes": self.ref.size,
            "modified_at": self.ref.modified_at,
            "sha256": self.sha256,
            "contract_hash": self.contract_hash,
            "run": self.run,
            "attempt": self.attempt,
            "status": "quarantined" if self.error_code else "loaded",
            "error_code": self.error_code,
            "archived_key": self.archived_key,
            "started_at": self.started_at,
        }


def lock(warehouse: Warehouse, bucket: str, key: str) -> None:
    """Be the only one to work on this key until the transaction ends."""
    warehouse.lock(f"object:{bucket}/{key}")


def entries(warehouse: Warehouse, bucket: str, key: str) -> list[Entry]:
    """What is known of a key, newest content first."""
    return [_entry(key, row) for row in warehouse.rows("find_objects", _of(bucket, key))]


def _of(bucket: str, key: str) -> dict[str, str]:
    return {"bucket": bucket, "key": key}


def _entry(key: str, row: dict[str, Any]) -> Entry:
    return Entry(
        object_id=row["object_id"],
        ref=ObjectRef(
            key=key,
            version_id=row["version_id"],
            etag=row["etag"],
            size=row["size_bytes"],
            modified_at=row["modified_at"],
        ),
        sha256=row["sha256"],
        contract_hash=row["contract_hash"],
        status=row["status"],
        error_code=row["error_code"],
        archived_key=row["archived_key"],
        rows=Rows(
            read=row["rows_read"],
            loaded=row["rows_loaded"],
            rejected=row["rows_rejected"],
            deduplicated=row["rows_deduplicated"],
        ),
    )


def known(found: Sequence[Entry], ref: ObjectRef, contract_hash: str) -> Entry | None:
    """The entry that makes reading an object needless, told from its listing alone.

    That is the same delivery again, or the newest content of the key uploaded once more. An ETag
    of a multipart upload (with a dash) depends on the parts, and proves nothing.
    """
    same_contract = [e for e in found if e.contract_hash == contract_hash]
    for entry in same_contract:
        delivered = (entry.ref.identity, entry.ref.modified_at)
        if delivered == (ref.identity, ref.modified_at):
            return entry
    same_bytes = (ref.etag, ref.size)
    if "-" not in ref.etag and found[:1] == same_contract[:1]:
        return next((e for e in found[:1] if (e.ref.etag, e.ref.size) == same_bytes), None)
    return None


def same_content(found: Sequence[Entry], sha256: str, contract_hash: str) -> Entry | None:
    """The newest content of the key, if that is what was read just now, under this contract."""
    newest = found[0] if found else None
    if newest and (newest.sha256, newest.contract_hash) == (sha256, contract_hash):
        return newest
    return None


def earlier_readings(found: Sequence[Entry], sha256: str) -> list[int]:
    """Ids of the entries that a new reading of this content replaces."""
    return [entry.object_id for entry in found if entry.sha256 == sha256]


def earlier_refusals(found: Sequence[Entry], sha256: str) -> list[int]:
    """Ids of the entries that a new refusal of this content replaces; never one that loaded."""
    return [e.object_id for e in found if e.sha256 == sha256 and e.status == "quarantined"]


def write(warehouse: Warehouse, record: Record, earlier: list[int]) -> None:
    """Write the ledger row of an object in place of its earlier readings, counts still zero."""
    params = {"object_id": record.object_id, "earlier": earlier}
    if earlier:
        warehouse.run("supersede", params)
    warehouse.run("insert_object", record.params())


def write_counts(warehouse: Warehouse, object_id: int, rows: Rows) -> None:
    """Complete the ledger row; its CHECK refuses rows that got lost or appeared."""
    warehouse.run("count_object", {"object_id": object_id, **rows.model_dump()})
