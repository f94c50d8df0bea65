"""A receiver of bucket events on loopback, over TLS, for as long as a test wants it."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any


@dataclass(frozen=True)
class Received:
    """An event, and as whom its sender came."""

    authorization: str | None
    body: Any

    @property
    def key(self) -> str:
        """Bucket and key of the object."""
        return str(self.body["Key"])


@contextmanager
def event_receiver(port: int, tls: Mapping[str, str], folder: Path) -> Iterator["Queue[Received]"]:
    """Receive events while the block runs.

    Args:
        port: Where to listen, on loopback.
        tls: A Secret with certificate and key.
        folder: For both as files.
    """
    received: Queue[Received] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put(Received(self.headers["Authorization"], json.loads(body or b"{}")))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    for key in ("tls.crt", "tls.key"):
        (folder / key).write_text(tls[key], "utf-8")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with HTTPServer(("127.0.0.1", port), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
