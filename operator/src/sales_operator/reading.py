"""A SalesIngest as the API server has it, understood."""

from datetime import datetime

from sales_api import names
from sales_api.ingest import parse_spec, parse_status
from sales_operator.documents import Manifest, key_of, uid_of
from sales_operator.observed import Epoch, Ingest


def epoch_of(document: Manifest) -> Epoch:
    """What releases parked objects when it changes."""
    metadata = document["metadata"]
    retry = (metadata.get("annotations") or {}).get(names.ANNOTATION_RETRY, "")
    return Epoch(int(metadata.get("generation", 1)), retry)


def read_ingest(document: Manifest) -> Ingest:
    """The ingest that a document is.

    Raises:
        sales_api.ingest.SpecError: Its spec makes no sense.
    """
    metadata = document["metadata"]
    return Ingest(
        key=key_of(document),
        uid=uid_of(document),
        resource_version=str(metadata["resourceVersion"]),
        epoch=epoch_of(document),
        spec=parse_spec(document.get("spec") or {}),
        status=parse_status(document.get("status") or {}),
        created_at=datetime.fromisoformat(metadata["creationTimestamp"]),
    )


def is_ending(document: Manifest) -> bool:
    """Whether it is being deleted: nothing is begun for it any more."""
    return "deletionTimestamp" in document["metadata"]


def is_worth_a_look(before: Manifest | None, after: Manifest) -> bool:
    """Whether a change of an ingest asks for something; a status that was written does not."""
    if before is None:
        return True
    parts = ("generation", "annotations", "deletionTimestamp", "uid")
    return any(before["metadata"].get(p) != after["metadata"].get(p) for p in parts)
