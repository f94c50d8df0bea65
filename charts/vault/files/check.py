"""Waits until the API server could call the injector: it is ready, and its CA is the webhook's.

What the API server trusts is read from the webhook itself. Needs nothing but Python, and the token
of an account that may read that webhook. Ends with exit code 1 when it has waited long enough.
"""  # noqa: INP001 - a script, not a package

import base64
import http.client
import json
import os
import ssl
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

API_SERVER = urlsplit(os.environ["API_SERVER"])
ACCOUNT_DIR = Path(os.environ["ACCOUNT_DIR"])
WEBHOOK = os.environ["WEBHOOK"]
HOST, _, PORT = os.environ["INJECTOR"].rpartition(":")
WAIT_SECONDS = float(os.environ["WAIT_SECONDS"])
TIMEOUT_SECONDS = 10
KIND = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class NotYetError(Exception):
    """Why the API server could not call it now."""


def get(host: str, port: int, path: str, authority: str, token: str = "") -> tuple[int, bytes]:
    """Ask over TLS that is verified; status and body."""
    context = ssl.create_default_context(cadata=authority)
    way = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        way.request("GET", path, headers=headers)
        answer = way.getresponse()
        return answer.status, answer.read()
    except ssl.SSLCertVerificationError as error:
        raise NotYetError(f"{host}'s certificate is refused: {error.verify_message}") from None
    except (OSError, http.client.HTTPException) as error:
        raise NotYetError(f"{host} does not answer: {type(error).__name__}") from None
    finally:
        way.close()


def known_authority() -> str:
    """The CA that the API server knows the injector by, as PEM."""
    status, body = get(
        API_SERVER.hostname or "",
        API_SERVER.port or 443,
        f"{KIND}/{WEBHOOK}",
        (ACCOUNT_DIR / "ca.crt").read_text("utf-8"),
        (ACCOUNT_DIR / "token").read_text("utf-8"),
    )
    if status != http.HTTPStatus.OK:
        raise NotYetError(f"the API server answers {status} when asked for webhook {WEBHOOK}")
    return bundle_in(json.loads(body))


def bundle_in(webhook: dict[str, Any]) -> str:
    """The CA in a webhook's configuration."""
    config = webhook["webhooks"][0]["clientConfig"]
    if not config.get("caBundle"):
        raise NotYetError(f"webhook {WEBHOOK} has no caBundle: set injector.tls.caBundle")
    return base64.b64decode(config["caBundle"]).decode()


def check_injector() -> None:
    """Ask it as the API server would."""
    try:
        status, _ = get(HOST, int(PORT), "/health/ready", known_authority())
    except ssl.SSLError:
        raise NotYetError(f"the caBundle of webhook {WEBHOOK} is no certificate") from None
    if status != http.HTTPStatus.NO_CONTENT:
        raise NotYetError(f"{HOST} answers {status} when asked whether it is ready")


def wait() -> None:
    """Until it works; NotYetError when it doesn't in time."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return check_injector()
        except NotYetError:
            if time.monotonic() > end:
                raise
        time.sleep(1)


try:
    wait()
except NotYetError as reason:
    raise SystemExit(f"FAILED: {reason}") from None
sys.stdout.write(f"ok: the injector is ready, and webhook {WEBHOOK} knows its certificate's CA\n")
