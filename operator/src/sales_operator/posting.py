"""Kubernetes Events about an ingest. The name tells what it is about: posted twice, it is one."""

import hashlib
from datetime import datetime
from typing import Any

from sales_api import names
from sales_operator.observed import IngestKey, Notice

_MAX_NAME = 253
_MAX_MESSAGE = 1024


def event(key: IngestKey, uid: str, notice: Notice, now: datetime) -> dict[str, Any]:
    """The Event that a notice is."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    unique = f"{uid} {notice.reason} {notice.about}".encode()
    tail = f".{hashlib.sha256(unique).hexdigest()[:16]}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": key.name[: _MAX_NAME - len(tail)].rstrip("-.") + tail,
            "namespace": key.namespace,
        },
        "involvedObject": {
            "apiVersion": f"{names.GROUP}/{names.VERSION}",
            "kind": names.KIND,
            "name": key.name,
            "namespace": key.namespace,
            "uid": uid,
        },
        "type": "Warning" if notice.is_warning else "Normal",
        "reason": notice.reason,
        "message": notice.message[:_MAX_MESSAGE],
        "source": {"component": names.MANAGED_BY},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
