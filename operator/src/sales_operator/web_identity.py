"""What in pods of runs is about who they are to the object store, where it needs no keys. Pure.

It takes the token of their service account, and gives keys for it that end when the token does.
"""

import base64
import hashlib
from typing import Any, Final

from sales_operator.settings import WebIdentity

Manifest = dict[str, Any]

_VOLUME: Final = "object-store-token"
_MOUNT_PATH: Final = "/var/run/secrets/minidata.io/object-store"
"""Where the pipeline looks by itself."""
_TOKEN_SECONDS: Final = 5400
"""The kubelet makes a token anew when a fifth of its life is left. So the pipeline's driver finds
the next one when it asks for new keys, a quarter of an hour before the end of the old ones."""


def volumes(identity: WebIdentity | None) -> list[Manifest]:
    """The token of the service account, which nobody but the object store takes."""
    if identity is None:
        return []
    token = {
        "audience": identity.audience,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": "token",
    }
    return [{"name": _VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}]


def mounts(identity: WebIdentity | None) -> list[Manifest]:
    """Where it lies in the container."""
    if identity is None:
        return []
    return [{"name": _VOLUME, "mountPath": _MOUNT_PATH, "readOnly": True}]


def environment(identity: WebIdentity | None) -> dict[str, str]:
    """The pipeline's settings of it; none leaves the pipeline to the keys."""
    if identity is None:
        return {}
    role = identity.role_arn or role_arn(identity.audience)
    return {"SALES_S3_AUTH": "webIdentity", "SALES_S3_ROLE": role}


def role_arn(audience: str) -> str:
    """The name that MinIO gives the role of an audience."""
    digest = hashlib.sha1(audience.encode(), usedforsecurity=False).digest()
    return f"arn:minio:iam:::role/{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
