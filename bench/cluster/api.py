"""The way to the API server that costs least: one process, kept connections, plain documents.

A kubectl for each request would cost more CPU than what is measured.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import urllib3

from tests.e2e.kube import CONTEXT, Manifest, call

_CONNECTIONS = 32
_ERRORS = 400
_WATCH_SECONDS = 6 * 3600
_MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """What the API server refused."""


class Api:
    """An API server.

    Args:
        server: Its URL.
        pool: Connections that show who is asking.
        kubeconfig: A file that says the same to other programs.
    """

    def __init__(self, server: str, pool: urllib3.PoolManager, kubeconfig: Path) -> None:
        self._server = server
        self._pool = pool
        self.kubeconfig = kubeconfig

    @classmethod
    def connect(cls, folder: Path) -> Self:
        """The one that kubectl knows under our context; its certificates go to a folder."""
        view = ("config", "view", "--raw", "--flatten", "--minify", "--output=json")
        told = call("kubectl", f"--context={CONTEXT}", *view)
        config = json.loads(told)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            timeout=urllib3.Timeout(connect=10, read=60),
            # An idle connection that the server has closed; its refusals are told as they are.
            retries=urllib3.Retry(2, status=0, raise_on_status=False),
            ca_certs=_keep(folder / "server.crt", cluster["certificate-authority-data"]),
            cert_file=_keep(folder / "client.crt", user["client-certificate-data"]),
            key_file=_keep(folder / "client.key", user["client-key-data"]),
        )
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(told)
        kubeconfig.chmod(0o600)
        return cls(cluster["server"], pool, kubeconfig)

    def get(self, path: str) -> Manifest:
        """A document."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        """What the server answers, as it stands."""
        return self._call("GET", path).decode()

    def create(self, path: str, document: Manifest) -> None:
        """Create an object in a collection."""
        self._call("POST", path, document, "application/json")

    def patch(self, path: str, document: Manifest) -> None:
        """Merge a document into an object."""
        self._call("PATCH", path, document, _MERGE)

    def delete(self, path: str) -> None:
        """Delete an object."""
        self._call("DELETE", path)

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[tuple[str, Manifest]]:
        """What is there, then what changes, as pairs of type and object, until it is cut off.

        Raises:
            ApiError: It cannot be watched.
        """
        fields = {"watch": "1", "timeoutSeconds": str(_WATCH_SECONDS), **query}
        answer = self._pool.request(
            "GET", self._server + path, fields=fields, preload_content=False, timeout=None
        )
        if answer.status >= _ERRORS:
            raise ApiError(f"watch {path}: {answer.status} {answer.read().decode()[:500]}")
        for line in _lines(answer):
            event = json.loads(line)
            yield event["type"], event["object"]

    def _call(self, verb: str, path: str, document: Any = None, content: str = "") -> bytes:
        answer = self._pool.request(
            verb,
            self._server + path,
            body=json.dumps(document) if document else None,
            headers={"Content-Type": content} if content else {},
        )
        if answer.status >= _ERRORS:
            raise ApiError(f"{verb} {path}: {answer.status} {answer.data.decode()[:500]}")
        return answer.data


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Lines as soon as they are there: a reader of blocks would wait for a block to be full."""
    rest = b""
    for part in answer.stream(None):
        *lines, rest = (rest + part).split(b"\n")
        yield from lines


def _keep(file: Path, encoded: str) -> str:
    file.touch(mode=0o600)
    file.write_bytes(base64.b64decode(encoded))
    return str(file)
