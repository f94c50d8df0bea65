"""A stand-in for KES on loopback: data keys, sealed by a table in memory, for one client by mTLS.

What of its protocol MinIO needs: POST /v1/key/generate/NAME and /v1/key/decrypt/NAME.
"""

import base64
import json
import secrets
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

Document = dict[str, Any]


class Keys:
    """The data keys of one key, each under the ciphertext and the context that it was made with."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []
        """What was done so far, by whom."""
        self._plaintexts: dict[tuple[str, str], str] = {}

    def do(self, what: str, asked: Document) -> Document | None:
        """What the answer holds; nothing where there is none."""
        context = asked.get("context") or ""
        if what == f"generate/{self.name}":
            plaintext, ciphertext = (
                base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)
            )
            self._plaintexts[ciphertext, context] = plaintext
            return {"plaintext": plaintext, "ciphertext": ciphertext}
        if what == f"decrypt/{self.name}":
            plaintext = self._plaintexts.get((asked["ciphertext"], context), "")
            return {"plaintext": plaintext} if plaintext else None
        return None


def _in_chunks(stream: BinaryIO) -> bytes:
    """The body of a request as MinIO sends it; the standard library takes none of this form."""
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


@contextmanager
def kes(keys: Keys, port: int, tls: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Serve while the block runs, whoever shows a certificate of the CA in `tls`.

    Args:
        keys: What it keeps.
        port: Where to listen, on loopback.
        tls: A Secret with certificate, key and CA.
        folder: For them as files.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            what = self.path.removeprefix("/v1/key/")
            answer = keys.do(what, json.loads(_in_chunks(self.rfile)))
            subject = dict(pair for (pair,) in self.connection.getpeercert()["subject"])
            keys.asked.append(f"{what} by {subject['commonName']}")
            self._answer(404 if answer is None else 200, answer or {"message": "no such key"})

        def do_GET(self) -> None:
            self._answer(404, {"message": "not found"})

        def _answer(self, status: int, document: Document) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    folder.mkdir(exist_ok=True)
    for key in ("tls.crt", "tls.key", "ca.crt"):
        (folder / key).write_text(tls[key], "utf-8")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    # With 1.3 a client may have said all, and been hung up on, before it hears who was refused.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
