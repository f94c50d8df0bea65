"""The spine: each object is read, validated, anonymised, loaded, and then archived.

Everything up to the commit is one transaction, everything after it only moves the object, and
either can be done again from any point: the ledger tells what has been done.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import IO, cast

import polars as pl

from sales_api.report import Fate, Rows
from sales_api.request import ObjectRef, RunRequest
from sales_api.v1alpha1 import EmailPseudonym, Format, OnBreach
from sales_pipeline import archive, ledger
from sales_pipeline.ahead import ahead
from sales_pipeline.anonymise import Anonymiser, masked_rejects
from sales_pipeline.bucket import Bucket
from sales_pipeline.codes import FileCode
from sales_pipeline.credentials import Credentials
from sales_pipeline.customers import Keys
from sales_pipeline.errors import PermanentError, PipelineError
from sales_pipeline.gate import breach
from sales_pipeline.load import Load, StagedBatch
from sales_pipeline.mapping import to_record
from sales_pipeline.read import Group, HashedChunks, Reader, formats_to_try
from sales_pipeline.settings import Settings
from sales_pipeline.star import to_star
from sales_pipeline.validate import validate
from sales_pipeline.warehouse import Warehouse

_SPOOL_BYTES = 4 * 1024 * 1024
_WORKERS = 2
"""Batches in preparation at once: while the database works, and while it does not."""


@dataclass(frozen=True)
class Work:
    """One object to be brought to its final place."""

    ref: ObjectRef
    """Its identity: what the ledger knows it by."""
    stored: ObjectRef
    """Where its bytes lie now; for a first reading the same."""
    again: bool = False
    """Read it although the ledger knows it (a reprocess)."""


@dataclass(frozen=True)
class Result:
    """What became of one object."""

    key: str
    fate: Fate
    rows: Rows = field(default_factory=Rows)
    codes: Counter[str] = field(default_factory=Counter)
    archived_key: str | None = None
    sha256: str | None = None
    error: PipelineError | None = None
    """Why it is refused or failed, or a warning about an object that was loaded."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Doors:
    """The outside systems of a run."""

    bucket: Bucket
    warehouse: Warehouse
    credentials: Credentials


class _AlreadyLoadedError(Exception):
    """Having read it to the end, the content turns out to be known."""

    def __init__(self, entry: ledger.Entry) -> None:
        super().__init__()
        self.entry = entry


@dataclass(frozen=True)
class _Prepared:
    """A batch before it meets the database."""

    read: int
    rejects: pl.DataFrame
    masked: pl.DataFrame
    """Of the rejected rows, what may be shown."""
    staged: StagedBatch


class _Reading:
    """One reading of an object: its bytes, its rejects and its counts so far."""

    def __init__(self, chunks: HashedChunks, fmt: Format) -> None:
        self.chunks = chunks
        self.fmt = fmt
        self.read = 0
        self.rejected = 0
        self.codes: Counter[str] = Counter()
        self.reject_lines = _spool()
        self.reject_rows = _spool()

    def add(self, object_id: int, batch: _Prepared) -> None:
        """Count a batch and keep its rejects: lines for the ledger, masked rows for quarantine."""
        self.read += batch.read
        if batch.rejects.is_empty():
            return
        self.rejected += batch.rejects["row_number"].n_unique()
        self.codes.update(batch.rejects["code"].to_list())
        lines = batch.rejects.insert_column(0, pl.lit(object_id).alias("object_id"))
        self.reject_lines.write(lines.write_csv(include_header=False).encode())
        first = self.reject_rows.tell() == 0
        self.reject_rows.write(batch.masked.write_csv(include_header=first).encode())

    def close(self) -> None:
        """Let go of what was kept for the way."""
        self.reject_lines.close()
        self.reject_rows.close()


def _spool() -> IO[bytes]:
    # In memory while small, then in a file without a name: it is gone with the process.
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(_SPOOL_BYTES))


class ObjectRun:
    """One object on its way, under one request."""

    def __init__(
        self,
        work: Work,
        request: RunRequest,
        settings: Settings,
        doors: Doors,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._work = work
        self._request = request
        self._settings = settings
        self._doors = doors
        self._on_bytes = on_bytes
        self._contract_hash = request.digest()
        pseudonym = doors.credentials.pseudonym
        self._anonymise = Anonymiser(
            request.privacy, pseudonym.key.get_secret_value(), pseudonym.earlier()
        )
        keyed = request.privacy.email is EmailPseudonym.HMAC_SHA256
        self._keys = Keys(pseudonym.key_version, pseudonym.checks() if keyed else {})
        self._started_at = datetime.now(UTC)

    def archive(self, result: Result) -> None:
        """Bring the object to its final place after `load_once`; may be repeated.

        Raises:
            TemporaryError: The object store failed.
            ConfigurationError: It refuses to.
        """
        to_key = result.archived_key
        if to_key is None:
            return
        bucket, stored, ref = self._doors.bucket, self._work.stored, self._work.ref
        archive.move(bucket, stored, to_key, ref)
        if self._work.again and result.fate is Fate.LOADED:
            if stored.key != to_key:
                archive.forget_reason(bucket, stored.key)
            if result.rows.rejected == 0 and result.sha256:
                archive.forget_rejects(bucket, self._request.source, ref, result.sha256)

    def load_once(self) -> Result:
        """Load the object or refuse it, unless that is done already; one transaction.

        Raises:
            ObjectGoneError: It is not there, or not with this content.
            TemporaryError: Something around it failed; nothing is half done.
            ConfigurationError: As the settings are, it cannot be done.
        """
        bucket, warehouse, ref = self._doors.bucket, self._doors.warehouse, self._work.ref
        with warehouse.transaction():
            ledger.lock(warehouse, bucket.name, ref.key)
            found = ledger.entries(warehouse, bucket.name, ref.key)
            if not self._work.again and (entry := ledger.known(found, ref, self._contract_hash)):
                return _known(entry)
            object_id = warehouse.value("next_object")
            try:
                return self._read_in_any_encoding(object_id, found)
            except _AlreadyLoadedError as known:
                return _known(known.entry)

    def _read_in_any_encoding(self, object_id: int, found: list[ledger.Entry]) -> Result:
        formats = formats_to_try(self._request.format)
        while True:
            chunks = HashedChunks(self._doors.bucket.read(self._work.stored), self._on_bytes)
            with closing(_Reading(chunks, formats.pop(0))) as reading:
                try:
                    with self._doors.warehouse.transaction():
                        return self._load(object_id, found, reading)
                except PermanentError as error:
                    if error.code != FileCode.ENCODING or not formats:
                        return self._refuse(object_id, found, reading, error)

    def _load(self, object_id: int, found: list[ledger.Entry], reading: _Reading) -> Result:
        """Read -> validate -> anonymise -> load."""
        schema = self._settings.db_schema
        load = Load.begin(self._doors.warehouse, schema, object_id, self._keys)
        reader = self._reader(reading)
        with ahead(partial(self._prepare, reader), reader.groups(), _WORKERS) as prepared:
            for batch in prepared:
                reading.add(object_id, batch)
                load.stage(batch.staged)
        reader.end(reading.read)
        sha256 = reading.chunks.sha256
        duplicate = ledger.same_content(found, sha256, self._contract_hash)
        if duplicate and not self._work.again:
            raise _AlreadyLoadedError(duplicate)
        warning = breach(
            self._request.quality, reading.read, reading.rejected, where=self._work.ref.key
        )
        if warning and self._request.quality.on_breach is OnBreach.FAIL_FILE:
            raise warning
        self._keep_rejects(reading)
        key = archive.processed_key(self._request.source, self._work.ref.key, sha256)
        rows = load.merge(
            self._record(object_id, sha256, key, None),
            ledger.earlier_readings(found, sha256),
            rejected=reading.rejected,
        )
        return Result(
            self._work.ref.key,
            Fate.LOADED,
            rows,
            reading.codes,
            archived_key=key,
            sha256=sha256,
            error=warning,
        )

    def _reader(self, reading: _Reading) -> Reader:
        return Reader(
            reading.chunks,
            reading.fmt,
            self._request.contract,
            where=self._work.ref.key,
            block_bytes=self._settings.block_bytes,
        )

    def _prepare(self, reader: Reader, group: Group) -> _Prepared:
        """All that can be done of a batch without the database, in any thread."""
        contract = self._request.contract
        batch = reader.parse(group)
        records = to_record(batch.frame, contract, self._request.format.null_values)
        verdict = validate(records, contract)
        rejects = pl.concat([batch.rejects, verdict.rejects])
        star = to_star(self._anonymise(verdict.accepted), cost_factor=Decimal(contract.cost_factor))
        return _Prepared(
            read=batch.read,
            rejects=rejects,
            masked=masked_rejects(verdict.rejected, rejects),
            staged=StagedBatch.of(star, self._anonymise.earlier_pseudonyms(verdict.accepted)),
        )

    def _keep_rejects(self, reading: _Reading) -> None:
        """Rejects to the ledger, and their masked rows to quarantine before the commit."""
        if not reading.rejected:
            return
        reading.reject_lines.seek(0)
        self._doors.warehouse.copy("ingest_reject", reading.reject_lines)
        reading.reject_rows.seek(0)
        source, ref = self._request.source, self._work.ref
        archive.store_rejects(
            self._doors.bucket, source, ref, reading.chunks.sha256, reading.reject_rows
        )

    def _refuse(
        self,
        object_id: int,
        found: list[ledger.Entry],
        reading: _Reading,
        error: PermanentError,
    ) -> Result:
        """Write into the ledger that, and why, the object as a whole is bad."""
        if self._work.again:
            # What was loaded or refused before stays as it was.
            return Result(self._work.ref.key, Fate.FAILED, codes=reading.codes, error=error)
        reading.chunks.drain()
        sha256 = reading.chunks.sha256
        key = archive.quarantine_key(self._request.source, self._work.ref.key, sha256)
        record = self._record(object_id, sha256, key, error.code)
        ledger.write(self._doors.warehouse, record, ledger.earlier_refusals(found, sha256))
        rows = Rows()
        if error.code == FileCode.REJECTED_ROWS:
            rows = Rows(read=reading.read, rejected=reading.read)
            ledger.write_counts(self._doors.warehouse, object_id, rows)
            self._keep_rejects(reading)
        archive.store_reason(self._doors.bucket, key, self._work.ref, error, self._started_at)
        return Result(
            self._work.ref.key, Fate.QUARANTINED, rows, reading.codes, archived_key=key, error=error
        )

    def _record(
        self, object_id: int, sha256: str, key: str, error_code: str | None
    ) -> ledger.Record:
        return ledger.Record(
            object_id=object_id,
            ingest=self._request.ingest,
            bucket=self._doors.bucket.name,
            ref=self._work.ref,
            sha256=sha256,
            contract_hash=self._contract_hash,
            run=self._request.run,
            attempt=self._request.attempt,
            archived_key=key,
            started_at=self._started_at,
            error_code=error_code,
        )


def _known(entry: ledger.Entry) -> Result:
    """What the ledger says of an object, with nothing loaded this time."""
    error = None
    if entry.error_code:
        error = PermanentError(
            "the object was refused before",
            where=entry.ref.key,
            mend=f"The reason lies at {archive.reason_key(entry.archived_key)}.",
            code=entry.error_code,
        )
    return Result(entry.ref.key, entry.fate, archived_key=entry.archived_key, error=error)
