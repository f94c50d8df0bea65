"""Stage 5: after the commit, every object goes where it belongs. Repeating it changes nothing.

Archived objects are named by their content (`x.csv` becomes `x.<12 hex of its SHA-256>.csv`), so
that two contents of one key never meet, and the same content is archived once.
"""

import io
import json
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO

from sales_api.request import ObjectRef
from sales_api.v1alpha1 import Source
from sales_pipeline.bucket import Bucket, ObjectGoneError
from sales_pipeline.errors import PermanentError


def processed_key(source: Source, key: str, sha256: str) -> str:
    """Where a loaded object goes."""
    return source.processed_prefix + _by_content(source, key, sha256)


def quarantine_key(source: Source, key: str, sha256: str) -> str:
    """Where an object goes that is refused as a whole."""
    return source.quarantine_prefix + _by_content(source, key, sha256)


def reason_key(quarantined: str) -> str:
    """Where the reason lies, beside the object."""
    return f"{quarantined}.reason.json"


def rejects_key(source: Source, key: str, sha256: str) -> str:
    """Where the rejected rows of a loaded object go."""
    return f"{source.quarantine_prefix}{_by_content(source, key, sha256)}.rejects.csv"


def _by_content(source: Source, key: str, sha256: str) -> str:
    path = PurePosixPath(key.removeprefix(source.prefix))
    suffixes = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    stem = path.name.removesuffix(suffixes)
    return str(path.with_name(f"{stem}.{sha256[:12]}{suffixes}"))


def store_rejects(bucket: Bucket, source: Source, ref: ObjectRef, sha: str, csv: IO[bytes]) -> None:
    """Keep the rejected rows. Done before the commit: what is committed is surely kept."""
    bucket.put(rejects_key(source, ref.key, sha), csv, "text/csv; charset=utf-8")


def store_reason(
    bucket: Bucket, quarantined: str, ref: ObjectRef, error: PermanentError, at: datetime
) -> None:
    """Write beside a refused object why it is there."""
    reason = {
        "object": ref.key,
        "versionId": ref.version_id,
        "etag": ref.etag,
        "sizeBytes": ref.size,
        "modifiedAt": ref.modified_at.isoformat(),
        "quarantinedAt": at.isoformat(),
        "code": error.code,
        "what": error.what,
        "mend": error.mend,
    }
    content = json.dumps(reason, indent=2, ensure_ascii=False).encode()
    bucket.put(reason_key(quarantined), io.BytesIO(content), "application/json")


def move(bucket: Bucket, stored: ObjectRef, to_key: str, origin: ObjectRef) -> None:
    """Move an object to its final place; fine if it is there already, or went there just now.

    Args:
        bucket: Where it lies.
        stored: The object where it lies now.
        to_key: Its final place.
        origin: What it was when it first came.
    """
    if stored.key == to_key:
        return
    try:
        bucket.move(stored, to_key, origin)
    except ObjectGoneError:
        # Committed, and gone from both places: somebody else's hand. The ledger has its story.
        return


def forget_reason(bucket: Bucket, quarantined: str) -> None:
    """Remove the reason beside an object that has left quarantine."""
    bucket.delete(reason_key(quarantined))


def forget_rejects(bucket: Bucket, source: Source, ref: ObjectRef, sha256: str) -> None:
    """Remove the rejected rows of an earlier reading of an object that has none any more."""
    bucket.delete(rejects_key(source, ref.key, sha256))
