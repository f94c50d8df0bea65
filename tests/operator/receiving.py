"""The receiver as it serves, for tests that stand outside: on another thread, over real TLS."""

import asyncio
import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TypeVar
from urllib.parse import quote_plus

import trustme
from prometheus_client import CollectorRegistry, Counter

from sales_operator.metrics import EVENTS, EVENTS_REFUSED, REGISTRY
from sales_operator.receiver import serving
from sales_operator.settings import Receiver

T = TypeVar("T")
TOKEN = "a-token-of-this-test"
_SECONDS = 60


@dataclass
class Probes:
    """What the probes say."""

    health: str = ""
    readiness: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class Serving:
    """A receiver and those who stand around it."""

    folder: Path
    port: int = 0
    probes: Probes = field(default_factory=Probes)
    woken: "Queue[tuple[str, str]]" = field(default_factory=Queue)
    refused: "Queue[tuple[str, str]]" = field(default_factory=Queue)
    wake: Callable[[str, str], None] | None = None
    registry: CollectorRegistry = REGISTRY

    @property
    def settings(self) -> Receiver:
        """Where its files are."""
        return Receiver(
            host="127.0.0.1",
            port=self.port,
            certificate=self.folder / "tls/tls.crt",
            key=self.folder / "tls/tls.key",
            token=self.folder / "events/token",
            certificates=self.folder / "certificates",
        )

    @contextmanager
    def up(self) -> Iterator["Serving"]:
        """Serve while the block runs."""

        def wake(bucket: str, key: str) -> None:
            self.woken.put((bucket, key))

        def refused(bucket: str, key: str) -> None:
            self.refused.put((bucket, key))

        manager = serving(
            self.settings,
            self.wake or wake,
            refused,
            lambda: self.probes.health,
            lambda: self.probes.readiness,
            self.registry,
        )
        with in_background(manager) as self.port:
            yield self

    def all_woken(self) -> list[tuple[str, str]]:
        """What was told of so far; afterwards it is forgotten."""
        return _all_of(self.woken)

    def all_refused(self) -> list[tuple[str, str]]:
        """The same of what nobody had the right token for."""
        return _all_of(self.refused)

    def trust(self) -> ssl.SSLContext:
        """What clients take."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.crt"))

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str]
    ) -> Answer:
        """One request on a connection of its own, as the object store makes them."""
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=_SECONDS, context=self.trust()
        )
        with closing(connection):
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), dict(answer.headers))

    def get(self, path: str) -> Answer:
        """What anybody sees."""
        return self.ask("GET", path, headers={})

    def post(self, body: bytes, authorization: str | None = f"Bearer {TOKEN}") -> Answer:
        """What the object store does."""
        shown = {} if authorization is None else {"Authorization": authorization}
        headers = {"Content-Type": "application/json", **shown}
        return self.ask("POST", "/events", body, headers=headers)


def _all_of(told: "Queue[tuple[str, str]]") -> list[tuple[str, str]]:
    return [told.get_nowait() for _ in range(told.qsize())]


def notification(key: str, event: str = "s3:ObjectCreated:Put") -> bytes:
    """What the object store says of a key of the bucket `sales`."""
    told = {"bucket": {"name": "sales"}, "object": {"key": quote_plus(key)}}
    return json.dumps({"Records": [{"eventName": event, "s3": told}]}).encode()


def lay_out(folder: Path, ca: trustme.CA, **options: object) -> None:
    """Put certificate, key, CA and token where a receiver looks for them."""
    leaf = ca.issue_cert("localhost", "127.0.0.1", **options)
    ca.cert_pem.write_to_path(folder / "ca.crt")
    pair = {
        "tls.crt": leaf.cert_chain_pems[0].bytes(),
        "tls.key": leaf.private_key_pem.bytes(),
    }
    mount(folder / "tls", pair)
    mount(folder / "events", {"token": f"{TOKEN}\n".encode()})


def mount(folder: Path, files: Mapping[str, bytes]) -> None:
    """Bring files to a folder as the kubelet does: all at once, by the swap of one link."""
    folder.mkdir(exist_ok=True)
    link = folder / "..data"
    revision = folder / f"..{len(list(folder.iterdir()))}"
    revision.mkdir()
    for name, content in files.items():
        (revision / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    swap = folder / "..data_tmp"
    swap.symlink_to(revision.name)
    swap.rename(link)


def counted(result: str) -> float:
    """How many events had this result so far."""
    return _counter(EVENTS, result=result)


def counted_refused(reason: str) -> float:
    """How many requests were refused for this reason so far."""
    return _counter(EVENTS_REFUSED, reason=reason)


def _counter(counter: Counter, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{counter._name}_total", labels) or 0.0


@contextmanager
def in_background(manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What an asynchronous context gives, living in an event loop on another thread."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        entered = asyncio.run_coroutine_threadsafe(manager.__aenter__(), loop).result(_SECONDS)
        try:
            yield entered
        finally:
            for leaving in (manager.__aexit__(None, None, None), _connections_end()):
                asyncio.run_coroutine_threadsafe(leaving, loop).result(_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _connections_end() -> None:
    # TLS says good-bye after the server is gone; a loop that is closed earlier leaves sockets open.
    selector = asyncio.get_running_loop()._selector
    while len(selector.get_map()) > 1:  # noqa: ASYNC110 - one is the loop's own; nobody tells
        await asyncio.sleep(0)
