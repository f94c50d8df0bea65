"""A second look at requests that are refused: does one of them come from the object store?

They come from anybody, so little is spent on them: what is not small and sent as the object store
sends it is not read, nor is what is slow, nor more than a few at once. Nothing of them is logged or
acted upon; who is told learns bucket and key, and `refusals` says what becomes of that.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from sales_operator.events import UnreadableError, created
from sales_operator.metrics import EVENTS_REFUSED

MAX_BYTES: Final = 64 * 1024
"""An event tells of one object, whose key has at most 1024 bytes."""
_SECONDS: Final = 5
_AT_ONCE: Final = 4


class Refusing:
    """Counts refused requests, and tells of events among them.

    Args:
        tell: Called with bucket and key of an object of which somebody without the right token
            says that it came.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._looking = 0

    async def look(self, request: web.Request) -> None:
        """Whatever it is, it is refused; this only decides what it counts as."""
        EVENTS_REFUSED.labels(await self._reason(request)).inc()

    async def _reason(self, request: web.Request) -> str:
        body = await self._read(request)
        if body is None:
            return "unread"
        try:
            objects = created(body)
        except UnreadableError:
            objects = ()
        if not objects:
            return "no_event"
        self._tell(*objects[0])
        return "wrong_token" if request.headers.get("Authorization") else "no_token"

    async def _read(self, request: web.Request) -> bytes | None:
        if self._looking >= _AT_ONCE or not _is_as_sent(request):
            return None
        self._looking += 1
        try:
            async with asyncio.timeout(_SECONDS):
                return await request.read()
        except (OSError, web.RequestPayloadError):
            # Too slow, or gone.
            return None
        finally:
            self._looking -= 1


def _is_as_sent(request: web.Request) -> bool:
    """Whether the object store would send it like this: JSON, whole, and as long as it says."""
    # Compressed, it may be far longer.
    is_plain = "Content-Encoding" not in request.headers
    is_json = request.content_type == "application/json"
    return is_plain and is_json and 0 < (request.content_length or 0) <= MAX_BYTES
