"""What every document of the API server tells of itself."""

from collections.abc import Mapping
from typing import Any

from sales_api import names
from sales_operator.observed import IngestKey

Manifest = Mapping[str, Any]


def key_of(document: Manifest) -> IngestKey:
    """Which ingest a document is."""
    return IngestKey(document["metadata"]["namespace"], document["metadata"]["name"])


def place_of(ingest: Manifest) -> tuple[str, str]:
    """Bucket and prefix of an ingest, without understanding the rest of it."""
    source = ingest.get("spec", {}).get("source", {})
    return source.get("bucket", ""), source.get("prefix", "raw/")


def uid_of(document: Manifest) -> str:
    """What tells an object from a later one of the same name."""
    return str(document["metadata"]["uid"])


def version_of(document: Manifest) -> int:
    """Its place in the order of all changes (KEP-5504: to be compared as a number)."""
    return int(document["metadata"]["resourceVersion"])


def owner_of(document: Manifest) -> str:
    """The uid of the ingest that a Job or CronJob works for; empty if it does not say."""
    return str(document["metadata"].get("labels", {}).get(names.LABEL_INGEST_UID, ""))
