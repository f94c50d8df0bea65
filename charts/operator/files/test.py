"""What `helm test` checks: the receiver is up, proves who it is, and takes events from no stranger.

Needs nothing but Python. Ends at the first surprise, with exit code 1.
"""  # noqa: INP001 - a script, not a package

import http.client
import os
import ssl
import sys
import time

HOST, _, PORT = os.environ["RECEIVER"].rpartition(":")
CA_FILE = os.environ["CA_FILE"]
WAIT_SECONDS = float(os.environ["WAIT_SECONDS"])
TIMEOUT_SECONDS = 10
EVENT = b'{"EventName": "s3:ObjectCreated:Put", "Key": "helm-test/raw/no-such-object"}'


def passed(what: str) -> None:
    """Say what holds."""
    sys.stdout.write(f"ok: {what}\n")


def failed(what: str) -> SystemExit:
    """What ends the test."""
    return SystemExit(f"FAILED: {what}")


def ask(verb: str, path: str, token: str = "") -> int:
    """Ask over TLS that is verified; the status of the answer."""
    context = ssl.create_default_context(cafile=CA_FILE)
    way = http.client.HTTPSConnection(HOST, int(PORT), timeout=TIMEOUT_SECONDS, context=context)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        way.request(verb, path, body=EVENT if verb == "POST" else None, headers=headers)
        return way.getresponse().status
    finally:
        way.close()


def readiness() -> str:
    """Why the receiver is not ready; empty if it is."""
    try:
        status = ask("GET", "/readyz")
    except ssl.SSLCertVerificationError as error:
        raise failed(f"the certificate of {HOST} is of no use: {error.verify_message}") from None
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    return "" if status == http.HTTPStatus.OK else f"/readyz says {status}"


def check_ready() -> None:
    """Wait until it is ready, for it may only just have been installed."""
    end = time.monotonic() + WAIT_SECONDS
    while why := readiness():
        if time.monotonic() > end:
            raise failed(f"{HOST}:{PORT} is not ready: {why}")
        time.sleep(1)
    passed("the receiver is ready, and its certificate is one of our CA's")


def check_plain() -> None:
    """Events carry names of objects and a token: never in the clear."""
    way = http.client.HTTPConnection(HOST, int(PORT), timeout=TIMEOUT_SECONDS)
    try:
        way.request("GET", "/readyz")
        status = way.getresponse().status
    except (OSError, http.client.HTTPException):
        passed("plain HTTP is refused")
    else:
        raise failed(f"plain HTTP is answered, with {status}")
    finally:
        way.close()


def check_strangers() -> None:
    """Only who knows the token may post."""
    for whose, token in (("no token", ""), ("another token", "a-token-of-somebody-else")):
        status = ask("POST", "/events", token)
        if status != http.HTTPStatus.UNAUTHORIZED:
            raise failed(f"an event with {whose} is answered with {status}, not refused with 401")
        passed(f"an event with {whose} is refused")


check_ready()
check_plain()
check_strangers()
