"""The room for temporary files of a run. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from sales_api.request import ObjectRef

Manifest = dict[str, Any]

_MI: Final = 1024**2
_LEAST: Final = 256 * _MI
MOST: Final = 20 * 1024 * _MI
"""Bytes for a run of which nobody knows yet what it will load."""
_PER_BYTE: Final = 4
_GZIP_RATIO: Final = 10


def needed(objects: Sequence[ObjectRef]) -> int:
    """How many bytes of temporary files a batch may need.

    The pipeline streams; what it keeps on disk are the rejects of one object at a time, as lines
    for the ledger and as masked rows. An object with several things wrong in every row makes up
    to 3.6 times its size of them, and one that is compressed counts as large as it unfolds.
    """
    most = max(map(_plain_size, objects), default=0) * _PER_BYTE
    return min(max(most, _LEAST), MOST)


def volume(size: int) -> Manifest:
    """One of so many bytes, as `tmp`."""
    # A limit, so that no object fills a node; nothing is set aside for it. A request for
    # ephemeral storage would keep pods off nodes that do not account for it.
    return {"name": "tmp", "emptyDir": {"sizeLimit": f"{-(-size // _MI)}Mi"}}


def _plain_size(item: ObjectRef) -> int:
    return item.size * (_GZIP_RATIO if item.key.endswith(".gz") else 1)
