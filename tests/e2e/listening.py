"""What listens in the pods of a namespace, and what it answers to whom."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.kube import Manifest, Namespace

SECONDS = 10
_LISTENS = "0A"
_WAREHOUSE_PORT = 5432
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")
"""How a client of PostgreSQL asks for TLS; the answer is one byte, S or N."""


@dataclass(frozen=True)
class Listener:
    """A TCP port of a pod, or of the pods behind a Service."""

    namespace: Namespace
    target: str
    port: int

    def __str__(self) -> str:
        return f"{self.target}:{self.port}"

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection to it, over which nothing was said yet."""
        with (
            self.namespace.forward(self.target, self.port) as port,
            socket.create_connection(("localhost", port), SECONDS) as connection,
        ):
            yield connection

    def answer(self, words: bytes) -> bytes:
        """All that it answers to this in the clear, until it hangs up."""
        with self.connected() as connection:
            connection.sendall(words)
            return b"".join(_all_of(connection))

    def certificate(self, trust: ssl.SSLContext) -> bytes:
        """What it shows to those who trust this, in DER.

        Raises:
            OSError: One of the two does not trust the other.
        """
        with self.connected() as plain:
            if self.port == _WAREHOUSE_PORT:
                plain.sendall(_SSL_REQUEST)
                assert plain.recv(1) == b"S"
            with trust.wrap_socket(plain, server_hostname="localhost") as secure:
                return secure.getpeercert(binary_form=True) or b""


def _all_of(connection: socket.socket) -> Iterator[bytes]:
    try:
        while block := connection.recv(4096):
            yield block
    except ConnectionResetError:
        return


def listeners(namespace: Namespace) -> list[Listener]:
    """Every port that a process in a running pod listens at, whether or not the pod names it."""
    return [
        Listener(namespace, f"pod/{pod['metadata']['name']}", port)
        for pod in _running(namespace)
        for port in sorted(_ports(namespace, pod["metadata"]["name"]))
    ]


def declared(namespace: Namespace) -> list[Listener]:
    """Those that the pods name."""
    return [
        Listener(namespace, f"pod/{pod['metadata']['name']}", port)
        for pod in _running(namespace)
        for port in sorted(
            one["containerPort"]
            for container in pod["spec"]["containers"]
            for one in container.get("ports", [])
        )
    ]


def _running(namespace: Namespace) -> list[Manifest]:
    found: list[Manifest] = namespace.get("pods", "--field-selector=status.phase=Running")["items"]
    return found


def _ports(namespace: Namespace, pod: str) -> set[int]:
    """As the kernel tells them, of all containers, which share one network."""
    sockets = namespace.kubectl("exec", pod, "--", "sh", "-c", "cat /proc/net/tcp*")
    rows = re.findall(r"^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ ([0-9A-F]{2}) ", sockets, re.MULTILINE)
    return {int(port, 16) for port, state in rows if state == _LISTENS}
