"""Kubernetes, played as far as Vault asks it: service account tokens, and who vouches for them."""

import base64
import contextlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAMESPACE = "sales"
ACCOUNT = "sales-pipeline"
REVIEWER = "reviewer"
"""The bearer token of who may ask for reviews."""
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_REFUSED = {"authenticated": False, "error": "invalid bearer token"}


def a_token(account: str = ACCOUNT, audience: str = "vault", seconds: int = 600) -> str:
    """One as the kubelet projects it; whom it convinces is another matter."""
    now = int(time.time())
    claims = {
        "aud": [audience],
        "exp": now + seconds,
        "iat": now - 3600,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "nbf": now - 3600,
        "sub": f"system:serviceaccount:{NAMESPACE}:{account}",
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "serviceaccount": {"name": account, "uid": f"uid-{account}"},
        },
    }
    header = {"alg": "RS256", "kid": "k"}
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), secrets.token_bytes(256)]
    return ".".join(map(_b64url, parts))


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class _Issued:
    account: str
    audience: str
    until: float


@dataclass
class Kubernetes:
    """An API server that knows the tokens it has signed."""

    host: str
    reviewed: list[str] = field(default_factory=list)
    """The tokens it was asked about."""
    _issued: dict[str, _Issued] = field(default_factory=dict)

    def issue(self, account: str = ACCOUNT, audience: str = "vault", seconds: int = 600) -> str:
        """A token that it vouches for, until it expires."""
        token = a_token(account, audience, seconds)
        self._issued[token] = _Issued(account, audience, time.time() + seconds)
        return token

    def review(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The status of a TokenReview."""
        self.reviewed.append(spec["token"])
        known = self._issued.get(spec["token"])
        if known is None or known.until < time.time():
            return _REFUSED
        if known.audience not in spec.get("audiences", [known.audience]):
            return _REFUSED
        user = {
            "username": f"system:serviceaccount:{NAMESPACE}:{known.account}",
            "uid": f"uid-{known.account}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
        }
        return {"authenticated": True, "audiences": [known.audience], "user": user}


@contextlib.contextmanager
def api_server(certificate: Path, key: Path) -> Iterator[Kubernetes]:
    """One that answers TokenReview, under TLS, on loopback."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asker = self.headers["Authorization"]
            known = self.path == _REVIEWS and asker == f"Bearer {REVIEWER}"
            body = json.dumps({**review, "status": kubernetes.review(review["spec"])}).encode()
            self.send_response(201 if known else 403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kubernetes = Kubernetes(f"https://127.0.0.1:{server.server_port}")
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield kubernetes
        finally:
            server.shutdown()
            thread.join()
