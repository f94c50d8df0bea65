"""Kubernetes, played as far as an object store asks it: by which keys its tokens are signed."""

import base64
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_DISCOVERY, _KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
_KEY_ID = "of-the-cluster"


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Issuer:
    """An API server's public half, over TLS."""

    host: str
    ca: trustme.CA = field(repr=False)
    """That of its certificate."""
    _key: RSAPrivateKey = field(default_factory=_new_key, repr=False)

    @property
    def ca_pem(self) -> str:
        """The certificate of its CA."""
        return self.ca.cert_pem.bytes().decode()

    @property
    def config_url(self) -> str:
        """Where it tells of itself."""
        return self.host + _DISCOVERY

    def token(self, subject: str, audience: str, seconds: int = 3600, **claims: Any) -> str:
        """One as the kubelet projects it, which ends after so many seconds.

        Args:
            subject: Such as `system:serviceaccount:NAMESPACE:NAME`.
            audience: Whom it is for.
            seconds: How long it lives; less than none: it has ended.
            claims: More of them.
        """
        signed = _unsigned("RS256", _KEY_ID, _claims(subject, audience, seconds) | claims)
        return f"{signed}.{_text(self._key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def documents(self) -> dict[str, Any]:
        """What it serves, by path."""
        public = self._key.public_key().public_numbers()
        modulus = _text(public.n.to_bytes(256, "big"))
        exponent = _text(public.e.to_bytes(3, "big"))
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": _KEY_ID}
        return {
            _DISCOVERY: {"issuer": _ISSUER, "jwks_uri": self.host + _KEYS},
            _KEYS: {"keys": [key | {"n": modulus, "e": exponent}]},
        }


def forged(subject: str, audience: str, secret: str) -> str:
    """A token of somebody who is no issuer, and guesses what the server's secret is."""
    signed = _unsigned("HS256", audience, _claims(subject, audience, 3600))
    return f"{signed}.{_text(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


def _claims(subject: str, audience: str, seconds: int) -> dict[str, Any]:
    now = int(time.time())
    times = {"iat": now - 3600, "nbf": now - 3600, "exp": now + seconds}
    return {"iss": _ISSUER, "sub": subject, "aud": [audience], **times}


def _unsigned(algorithm: str, key_id: str, claims: dict[str, Any]) -> str:
    header = {"alg": algorithm, "kid": key_id}
    return ".".join(_text(json.dumps(part).encode()) for part in (header, claims))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def running_issuer(port: int = 0, ca: trustme.CA | None = None) -> Iterator[Issuer]:
    """An issuer on loopback, until the block ends.

    Args:
        port: Where; 0: at any that is free.
        ca: Who signs its certificate; None: somebody new.
    """
    ca = ca or trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    documents: dict[str, Any] = {}

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = documents.get(self.path)
            body = json.dumps(found or {}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Door) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        issuer = Issuer(f"https://localhost:{server.server_port}", ca)
        documents |= issuer.documents()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
