"""The door that others knock at: events from the object store, probes, metrics; HTTPS only."""

import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from sales_operator import settings
from sales_operator.certificate import Certificate, ends_of
from sales_operator.events import UnreadableError, created
from sales_operator.metrics import EVENTS
from sales_operator.refusing import Refusing

_log = logging.getLogger(__name__)
_http_log = logging.getLogger(f"{__name__}.http")
MAX_BODY_BYTES = 1024 * 1024
_BACKLOG = 1024
_LEAVE_SECONDS = 5.0

Wake = Callable[[str, str], None]
"""Told of bucket and key of an object that came; soon, at least once, in no certain order."""
Probe = Callable[[], str]
"""Says what is wrong, or nothing where all is well."""
Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def serving(
    where: settings.Receiver,
    wake: Wake,
    refused: Wake,
    health: Probe,
    readiness: Probe,
    registry: CollectorRegistry,
) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port.

    Certificate, key and token are taken from their files as they are at each request.

    Args:
        where: Address and files.
        wake: Called for every object that an event tells of. It must return at once.
        refused: Likewise, where the event was refused for its token: nobody knows who sent it.
        health: Decides what /healthz answers.
        readiness: Decides what /readyz answers.
        registry: What /metrics shows. The receiver adds its own to it while it serves.

    Raises:
        CertificateError: There is nothing to serve with.
        OSError: The address is taken or is not ours.
    """
    certificate = Certificate(where.certificate, where.key)
    desk = _Desk(Token(where.token), wake, Refusing(refused))
    with _shown(_Expiry(certificate, where.certificates), registry):
        app = _application(desk, health, readiness, registry)
        runner = web.AppRunner(
            app, access_log=None, logger=_http_log, shutdown_timeout=_LEAVE_SECONDS
        )
        await runner.setup()
        try:
            site = web.TCPSite(
                runner, where.host, where.port, ssl_context=certificate.context, backlog=_BACKLOG
            )
            await site.start()
            yield site.port
        finally:
            await runner.cleanup()


def _application(
    desk: "_Desk", health: Probe, readiness: Probe, registry: CollectorRegistry
) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/events", desk.take)
    app.router.add_get("/healthz", _answering(health))
    app.router.add_get("/readyz", _answering(readiness))
    app.router.add_get("/metrics", _showing(registry))
    app.on_response_prepare.append(_sign)
    return app


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    # Who is told versions knows what they are vulnerable to.
    response.headers["Server"] = "sales-operator"


def _is_ours(record: logging.LogRecord) -> bool:
    # What is no HTTP is quoted in such an error, its token too; and anybody may send it.
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_log.addFilter(_is_ours)


# --- events -------------------------------------------------------------------------------------


class Token:
    """The one bearer token that is let in: what lies in its file at the moment of asking."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_missed = False

    def admits(self, authorization: str) -> bool:
        """Whether the text of an Authorization header shows it; nobody is let in without one."""
        scheme, _, shown = authorization.partition(" ")
        token = self._read()
        # Comparing takes the same time wherever the difference is.
        is_same = hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), token)
        return bool(token) and is_same and scheme.lower() == "bearer"

    def _read(self) -> bytes:
        try:
            token = self._file.read_bytes().strip()
        except OSError:
            token = b""
        if not token and not self._is_missed:
            _log.error("no event is let in: %s holds no token", self._file)
        self._is_missed = not token
        return token


@dataclass(frozen=True)
class _Desk:
    """Where events are taken in."""

    token: Token
    wake: Wake
    refusing: Refusing

    async def take(self, request: web.Request) -> web.Response:
        """Answer 2xx to all that the object store says: it repeats what is refused for ever."""
        if not self.token.admits(request.headers.get("Authorization", "")):
            EVENTS.labels("refused").inc()
            await self.refusing.look(request)
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        result = self._wake_for(await request.read())
        EVENTS.labels(result).inc()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _wake_for(self, body: bytes) -> str:
        try:
            objects = created(body)
        except UnreadableError:
            _log.warning("what the object store sent is no event", extra={"bytes": len(body)})
            return "unreadable"
        try:
            for bucket, key in objects:
                self.wake(bucket, key)
        except Exception:  # noqa: BLE001 - whatever it is, it must not stop all other events
            # Refused, this event would come again for ever, and no other; the resync finds its
            # object all the same.
            _log.exception("an event woke nobody")
            return "failed"
        return "ok" if objects else "ignored"


# --- probes and metrics -------------------------------------------------------------------------


def _answering(probe: Probe) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        if trouble := probe():
            return web.Response(text=trouble, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return web.Response(text="ok")

    return answer


def _showing(registry: CollectorRegistry) -> Handler:
    async def show(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        return web.Response(body=generate_latest(registry), headers=headers)

    return show


@dataclass(frozen=True)
class _Expiry(Collector):
    """When certificates end, read anew whenever somebody asks."""

    own: Certificate
    others: Path

    def collect(self) -> Iterator[Metric]:
        """The metric with all of them; the receiver's own is the one that it shows."""
        metric = GaugeMetricFamily(
            "sales_operator_certificate_expiry_timestamp_seconds",
            "When a certificate ends, in seconds since 1970.",
            labels=["certificate"],
        )
        for name, end in (ends_of(self.others) | {"receiver": self.own.expiry()}).items():
            metric.add_metric([name], end)
        yield metric


@contextmanager
def _shown(collector: Collector, registry: CollectorRegistry) -> Iterator[None]:
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)
