"""What `helm test` of `charts/operator` finds out, against receivers good and bad."""

import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from tests.charts.local_pod import LocalPod
from tests.charts.support import named, pod_of, render

ADDRESS = "operator.minidata.svc"
GOOD = {"ready": 200, "refusal": 401}


@pytest.fixture(scope="module")
def documents():
    return render("operator")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@contextmanager
def receiver(authority, *, ready, refusal, host="localhost", plain=False):
    """A receiver that answers readiness and every event like this; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer({"/readyz": ready}.get(self.path, 404))

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer({"/events": refusal}.get(self.path, 404))

        def _answer(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if not plain:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def helm_test(documents, authority, folder, port):
    """Run the pod's own command, files and environment; exit code and what it says."""
    files = {
        "operator-test": named(documents, "ConfigMap", "operator-test")["data"],
        "minidata-ca": {"ca.crt": authority.cert_pem.bytes().decode()},
    }
    # There is no use in waiting for a receiver that never gets better.
    addresses = {ADDRESS: "localhost", ":8443": f":{port}"}
    pod = LocalPod.make(pod_of(documents, "Pod"), folder, files, addresses)
    python, *arguments = pod.argv
    assert python == "/opt/venv/bin/python"
    done = subprocess.run(
        [sys.executable, *arguments],
        env=pod.environ | {"WAIT_SECONDS": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_passes_where_all_is_well(documents, authority, tmp_path):
    with receiver(authority, **GOOD) as port:
        code, said = helm_test(documents, authority, tmp_path, port)
    assert code == 0
    assert said == [
        "ok: the receiver is ready, and its certificate is one of our CA's",
        "ok: plain HTTP is refused",
        "ok: an event with no token is refused",
        "ok: an event with another token is refused",
    ]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"ready": 503}, "is not ready: /readyz says 503"),
        ({"refusal": 204}, "an event with no token is answered with 204, not refused with 401"),
        ({"refusal": 403}, "an event with no token is answered with 403, not refused with 401"),
        ({"host": "metabase"}, "the certificate of localhost is of no use: Hostname mismatch"),
        ({"plain": True}, "is not ready: SSLError"),
    ],
    ids=["not ready", "takes events of strangers", "other refusal", "other name", "plain"],
)
def test_names_what_is_not_as_it_should_be(documents, authority, tmp_path, bad, words):
    with receiver(authority, **(GOOD | bad)) as port:
        code, (*_, said) = helm_test(documents, authority, tmp_path, port)
    assert code == 1
    assert said.startswith("FAILED: ")
    assert words in said


def test_does_not_believe_a_receiver_of_another_ca(documents, authority, tmp_path):
    with receiver(trustme.CA(), **GOOD) as port:
        code, said = helm_test(documents, authority, tmp_path, port)
    assert code == 1
    assert "the certificate of localhost is of no use: unable to get local issuer" in said[-1]


def test_says_that_nobody_is_there(documents, authority, tmp_path):
    with receiver(authority, **GOOD) as port:
        """Closed at once: its port is free, and nobody listens there any more."""
    code, said = helm_test(documents, authority, tmp_path, port)
    assert (code, said[-1]) == (1, f"FAILED: localhost:{port} is not ready: ConnectionRefusedError")
