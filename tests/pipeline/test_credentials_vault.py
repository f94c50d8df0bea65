"""The road to Vault: its settings, and answers that a healthy Vault does not give."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sales_pipeline import vault
from sales_pipeline.errors import TemporaryError
from sales_pipeline.settings import Settings
from tests.support.credentials import CANARY, fault


@pytest.fixture
def token_file(tmp_path):
    """The pod's token, which no error may show."""
    path = tmp_path / "token"
    path.write_text(CANARY)
    return path


def _direct(**settings: object) -> Settings:
    return Settings.model_validate({"credentials": "direct"} | settings)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "vault:8200",
        "vault.example",
        "ftp://vault.example",
        "http://vault.example:8200",
        "http://127.0.0.1.example:8200",
        "https://",
        "https://vault.example:port",
        "https://[vault",
        "https://*",
        "https://vault..example",
        f"https://{'a' * 64}.example",
        f"https://root:{CANARY}@vault.example",
    ],
)
def test_unfit_address_is_refused(token_file, address):
    """No login in the address, no plain HTTP over a network; and the address is not quoted."""
    error = fault(_direct(vault_addr=address, vault_token_file=token_file))
    assert (error.code, error.where) == ("vault.address", "SALES_VAULT_ADDR")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unfit_ca_file_is_refused(tmp_path, content):
    """A CA file that is absent or holds nothing never means less verification."""
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    error = fault(_direct(vault_addr="https://vault.example", vault_ca_file=ca_file))
    assert (error.code, error.where) == ("vault.certificate", str(ca_file))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unfit_token_file_is_refused(tmp_path, content):
    """Without the pod's token there is nothing to log in with."""
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    error = fault(_direct(vault_addr="https://vault.example", vault_token_file=token_file))
    assert (error.code, error.where) == ("vault.token", str(token_file))


# --- answers of a Vault that is not well (one that is: tests/integration/test_vault.py) -----------


@contextlib.contextmanager
def _answering(status: int, body: bytes, seen: list | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if seen is not None:
                seen.append(dict(self.headers))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [412, 429, 500, 501, 502, 503, 504])
@pytest.mark.parametrize("body", [b"{}", json.dumps({"errors": [CANARY]}).encode(), b"<html>"])
def test_failing_vault_is_temporary(token_file, status, body):
    """A server that fails or is overloaded is worth another try, whatever it answers."""
    with _answering(status, body) as address:
        settings = _direct(vault_addr=address, vault_token_file=token_file)
        assert fault(settings, TemporaryError).code == "vault.unavailable"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"auth": null}', b"null"])
def test_stranger_at_the_address_is_told(token_file, body):
    """A 200 of another shape than Vault's means that the address is somebody else's."""
    with _answering(200, body) as address:
        settings = _direct(vault_addr=address, vault_token_file=token_file)
        error = fault(settings)
    assert (error.code, error.what) == ("vault.address", "what answers there is not Vault")


def test_strangers_token_is_not_sent(token_file, monkeypatch):
    """A token in the environment never goes along with the pod's own login."""
    monkeypatch.setenv("VAULT_TOKEN", CANARY)
    seen = []
    with _answering(503, b"{}", seen) as address:
        fault(_direct(vault_addr=address, vault_token_file=token_file), TemporaryError)
    assert [CANARY in headers.values() for headers in seen] == [False]


@pytest.mark.timeout(5)
def test_silent_vault_is_temporary(token_file, monkeypatch):
    """A server that takes the connection and never answers is not waited for without end."""
    monkeypatch.setattr(vault, "_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = _direct(vault_addr=address, vault_token_file=token_file)
        assert fault(settings, TemporaryError).code == "vault.unavailable"
