"""Wait until the servers take connections, for a pod whose network is not quite there as it starts.

Where NetworkPolicies are enforced, the rules in front of a server learn of a new pod's address only
when it runs already. For a moment its connections are refused or lost, which says nothing of the
server; and the next pod, with an address of its own, meets the same.
"""

import logging
import socket
import time
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sales_pipeline.errors import TemporaryError
from sales_pipeline.settings import Settings

_PORTS: Final = {"http": 80, "https": 443}
_ATTEMPT_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 0.2
_log = logging.getLogger(__name__)


class Server(NamedTuple):
    """Where a run will connect to by TCP."""

    what: str
    host: str
    port: int


def servers(settings: Settings) -> Iterator[Server]:
    """Those that the settings name; an address that makes no sense is left to its user's error."""
    urls = {"object store": settings.s3_endpoint}
    if settings.credentials != "files":
        urls = {"Vault": settings.vault_addr} | urls
    for what, url in urls.items():
        try:
            parts = urlsplit(url or "")
            port = parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            continue
        if parts.hostname and port:
            yield Server(what, parts.hostname, port)
    if not settings.db_host.startswith("/"):  # else it is the folder of a socket
        yield Server("database", settings.db_host, settings.db_port)


def wait(settings: Settings) -> None:
    """Try each server until it takes a connection, for `reach_seconds` in all.

    One that does not is no error yet: whoever needs it says better what it lacks.
    """
    if settings.reach_seconds:
        _missing(settings)


def reach(settings: Settings) -> None:
    """The same, at least once, for a container that has only this to do.

    Raises:
        TemporaryError: A server took no connection.
    """
    if missing := _missing(settings):
        raise TemporaryError(
            f"no connection within {settings.reach_seconds} s",
            where=", ".join(f"{what} {host}:{port}" for what, host, port in missing),
            mend="See that the server is up, and that NetworkPolicies let this pod there.",
            code="network.unreachable",
        )


def _missing(settings: Settings) -> list[Server]:
    deadline = time.monotonic() + settings.reach_seconds
    return [server for server in servers(settings) if not _answers(server, deadline)]


def _answers(server: Server, deadline: float) -> bool:
    is_told = False
    while True:
        try:
            # In the time of one attempt a packet that was lost is sent again.
            socket.create_connection((server.host, server.port), _ATTEMPT_SECONDS).close()
        except OSError as error:
            if time.monotonic() >= deadline:
                return False
            if not is_told:
                _log.info("waiting until the %s takes connections: %s", server.what, error)
                is_told = True
            time.sleep(_PAUSE_SECONDS)  # nobody tells when a rule lets through: it must be tried
        else:
            return True
