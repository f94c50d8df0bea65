"""The operator's door to the cluster under test, and a line to it that can be cut."""

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml
from kubernetes_asyncio import client, config

from sales_operator.cluster import Cluster
from sales_operator.metrics import REGISTRY
from tests.docs.pages import ROOT
from tests.e2e.kube import CONTEXT, Manifest, Namespace, call

T = TypeVar("T")
CRD = ROOT / "manifests/crds/minidata.io_salesingests.yaml"
_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """The API server, as seen from a namespace of one's own."""

    namespace: Namespace
    kubeconfig: Manifest = field(repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        place = urlsplit(self.kubeconfig["clusters"][0]["cluster"]["server"])
        return str(place.hostname), int(place.port or 443)

    def login(self, at: str = "", **user: str) -> Manifest:
        """The kubeconfig, or one with another address or another user."""
        changed: Manifest = json.loads(json.dumps(self.kubeconfig))
        if at:
            changed["clusters"][0]["cluster"]["server"] = at
        if user:
            changed["users"][0]["user"] = user
        return changed

    def ask(self, question: Callable[[Cluster], Awaitable[T]], **how: Any) -> T:
        """What an asynchronous function of a door gives, within a minute."""

        async def asked() -> T:
            async with asyncio.timeout(_SECONDS), connected(self.login(**how)) as door:
                return await question(door)

        return asyncio.run(asked())

    def ingest(self, name: str, **spec: Any) -> Manifest:
        """A SalesIngest that is really there."""
        source = {"bucket": "sales", "prefix": f"raw/{name}/"}
        self.namespace.apply(
            {
                "apiVersion": "minidata.io/v1alpha1",
                "kind": "SalesIngest",
                "metadata": {"name": name},
                "spec": {"source": source, **spec},
            }
        )
        return self.namespace.get(f"salesingest/{name}")


@contextlib.contextmanager
def serving(purpose: str) -> Iterator[Server]:
    """A namespace that goes with the block, in a cluster that knows SalesIngests."""
    made = Namespace(f"minidata-e2e-{purpose}-{secrets.token_hex(3)}")
    made.apply(yaml.safe_load(CRD.read_text("utf-8")))
    known = "crd/salesingests.minidata.io"
    made.kubectl("wait", known, "--for=condition=Established", "--timeout=60s", timeout=70)
    labels = {"minidata.io/test": "e2e", "minidata.io/maker": str(os.getpid())}
    metadata = {"name": made.name, "labels": labels}
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    view = ("config", "view", "--minify", "--flatten", "--raw", f"--context={CONTEXT}")
    try:
        yield Server(made, yaml.safe_load(call("kubectl", *view)))
    finally:
        made.kubectl("delete", "namespace", made.name, "--wait=false")


@contextlib.asynccontextmanager
async def connected(kubeconfig: Manifest) -> AsyncIterator[Cluster]:
    """The door by this kubeconfig."""
    found = client.Configuration()
    await config.load_kube_config_from_dict(kubeconfig, client_configuration=found)
    door = Cluster(client.ApiClient(found))
    try:
        yield door
    finally:
        await door.close()


def requests(verb: str, resource: str) -> int:
    """How many requests of this kind doors have sent so far."""
    labels = {"verb": verb, "resource": resource}
    return int(REGISTRY.get_sample_value("sales_operator_api_requests_total", labels) or 0)


def kubeconfig_file(folder: Path, kubeconfig: Manifest) -> Path:
    """A kubeconfig for another process."""
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(kubeconfig), "utf-8")
    return file


@dataclass
class Line:
    """A way to a server that a test cuts, or lets swallow what is sent."""

    to: tuple[str, int]
    is_cut: bool = False
    is_deaf: bool = False
    port: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _ways: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        """What a kubeconfig calls it."""
        return f"https://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator["Line"]:
        """Listen while the block runs."""
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._ways, return_exceptions=True)

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self.is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        """Be as at the beginning."""
        self.is_cut = self.is_deaf = False

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self.to)
        self._open |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            way = asyncio.create_task(self._carry(source, sink))
            self._ways.add(way)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if not self.is_deaf:
                    sink.write(data)
        sink.close()
