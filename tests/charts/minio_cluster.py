"""What `charts/minio` makes, without a cluster: its server on loopback, its scripts run against it.

The server is the StatefulSet's container and the scripts are those of the Job and of the test
pod, all as rendered, with Secrets made up on the spot.
"""

import base64
import http.client
import secrets
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import boto3
import trustme
from botocore.config import Config

from sales_pipeline.demo.ports import free_ports
from sales_pipeline.demo.server import EmbeddedServer, Program
from tests.charts.local_pod import Files, LocalPod, toolbox
from tests.charts.support import NAMESPACE, Document, Pod, of_kind, pods, program, render
from tests.charts.vault_agent import PlannedVault

IN_THE_IMAGE = ("base64", "cat", "cp", "head", "mkdir", "rm", "timeout", "tr")
"""Of what the image brings along, all that the scripts may use, besides a shell and mc."""

PIPELINE, OPERATOR = "sales-pipeline-object-store", "sales-operator-object-store"
SERVER, SUPPLIER = "minio-server", "supplier-object-store"
COMPLETING = "client-secret"
"""The container that completes the server's settings."""
Values = Mapping[str, Any]

_URL = f"https://minio.{NAMESPACE}.svc:9000"
_LIMIT_SECONDS = 120


class MinioServer(EmbeddedServer):
    """The container of the StatefulSet."""

    def __init__(self, pod: LocalPod, port: int, authority: Path) -> None:
        super().__init__(
            Program(
                title="MinIO",
                argv=(program("minio"), *pod.argv),
                folder=pod.root,
                log=pod.root / "minio.log",
                stop_signal=SIGINT,
                kill_signal=SIGKILL,
                environment=pod.environ,
            )
        )
        self._port = port
        self._trust = ssl.create_default_context(cafile=str(authority))

    def _serves(self) -> bool:
        connection = http.client.HTTPSConnection(
            "localhost", self._port, timeout=2, context=self._trust
        )
        with closing(connection):
            try:
                connection.request("GET", "/minio/health/cluster")
                return connection.getresponse().status == http.HTTPStatus.OK
            except OSError:
                return False


@dataclass(frozen=True)
class Ended:
    """How a script ended, and what it said."""

    code: int
    text: str


class MinioCluster:
    """Secrets, a folder for all files, and a port for the server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_ports(1)[0]
        self.mc = program("mc")
        self.authority = root / "ca.pem"
        """Where the CA's certificate is."""
        ca = trustme.CA()
        ca.cert_pem.write_to_path(self.authority)
        self.secrets = {
            "minio-tls": certificate(ca),
            SERVER: {"config.env": config_env()},
            PIPELINE: user_keys(),
            OPERATOR: user_keys(),
        }

    @property
    def url(self) -> str:
        """The server's address."""
        return f"https://localhost:{self.port}"

    def server(self, values: Values | None = None) -> MinioServer:
        """The server of the chart under some values, not started yet; data of earlier ones stay."""
        pod = self._pod(values, "StatefulSet/minio")
        return MinioServer(pod, self.port, self.authority)

    def bootstrap(self, values: Values | None = None, *, shell: str = "sh") -> Ended:
        """Run the script of the bootstrap Job."""
        return self._run(self._pod(values, "Job/minio-bootstrap"), shell)

    def helm_test(self, values: Values | None = None, *, shell: str = "sh") -> Ended:
        """Run the script of the test pod."""
        return self._run(self._pod(values, "Pod/minio-test"), shell)

    def client(self, secret: str) -> Any:
        """A boto3 client with the keys of a user's Secret, or with the root login of SERVER."""
        keys = root_keys(self.secrets[SERVER]) if secret == SERVER else self.secrets[secret]
        return self.client_with(keys)

    def client_with(self, keys: Mapping[str, str]) -> Any:
        """A boto3 client with these keys."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=keys["access_key"],
            aws_secret_access_key=keys["secret_key"],
            verify=str(self.authority),
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    def confidential(self) -> set[str]:
        """Every text that nobody may see: all of config.env, and the users' secret keys."""
        users = {self.secrets[name]["secret_key"] for name in (PIPELINE, OPERATOR)}
        return users | set(parse_env(self.secrets[SERVER]).values())

    def _pod(self, values: Values | None, owner: str) -> LocalPod:
        documents: list[Document] = render("minio", values)
        (pod,) = (pod for pod in pods(documents) if pod.owner == owner)
        maps = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
        addresses = {_URL: self.url, ":9000": f"127.0.0.1:{self.port}"}
        root = self.root / owner.partition("/")[0]
        made = LocalPod.make(pod, root, self.secrets | maps, addresses)
        self._bring_secrets(pod, root, self.secrets | maps)
        self._complete_settings(pod, root)
        return made

    def _bring_secrets(self, pod: Pod, root: Path, files: Files) -> None:
        """What comes before the container; nothing where Secrets are mounted."""

    def _complete_settings(self, pod: Pod, root: Path) -> None:
        """What comes in front of a server that takes tokens; its settings are in a Secret."""
        for container in pod.spec.get("initContainers", []):
            if container["name"] == COMPLETING:
                alone = replace(pod, spec=pod.spec | {"containers": [container]})
                ended = self._run(LocalPod.make(alone, root, self.secrets, {}), "sh")
                assert ended.code == 0, ended.text

    def _run(self, pod: LocalPod, shell: str) -> Ended:
        tools = toolbox(pod.root / "bin", (*IN_THE_IMAGE, self.mc), shell=shell)
        command, *args = pod.argv
        ended = subprocess.run(
            [f"{tools}/{command}", *args],
            env=pod.environ | {"PATH": tools},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout)


class VaultedCluster(MinioCluster):
    """The same with Vault: of the Secrets, those of the certificate and of a supplier are left."""

    def __init__(self, root: Path, vault: PlannedVault) -> None:
        super().__init__(root)
        self.secrets = {"minio-tls": self.secrets["minio-tls"], SUPPLIER: user_keys()}
        self.vault = vault

    def _bring_secrets(self, pod: Pod, root: Path, files: Files) -> None:
        ended = self.vault.run_agent(pod, root, files)
        assert ended.returncode == 0, ended.stderr


def certificate(ca: trustme.CA) -> dict[str, str]:
    """A Secret with a certificate for loopback and the CA that signed it."""
    leaf = ca.issue_cert("localhost", "127.0.0.1")
    return {
        "tls.crt": leaf.cert_chain_pems[0].bytes().decode(),
        "tls.key": leaf.private_key_pem.bytes().decode(),
        "ca.crt": ca.cert_pem.bytes().decode(),
    }


def config_env(**changed: str | None) -> str:
    """A config.env as the README wants it, but for what is changed; None leaves a line out."""
    token = secrets.token_hex(16)
    lines = {
        "MINIO_ROOT_USER": f"root-{secrets.token_hex(4)}",
        "MINIO_ROOT_PASSWORD": secrets.token_hex(16),
        "MINIO_KMS_SECRET_KEY": f"minidata:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES": token,
        "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALESNOW": token,
    }
    return "".join(f"{k}={v}\n" for k, v in (lines | changed).items() if v is not None)


def parse_env(secret: Mapping[str, str]) -> dict[str, str]:
    """The settings in a config.env that this module wrote."""
    return dict(line.split("=", 1) for line in secret["config.env"].splitlines())


def root_keys(secret: Mapping[str, str]) -> dict[str, str]:
    """The root login, in the words of a user's Secret."""
    env = parse_env(secret)
    return {"access_key": env["MINIO_ROOT_USER"], "secret_key": env["MINIO_ROOT_PASSWORD"]}


def user_keys() -> dict[str, str]:
    """The Secret of a user."""
    return {"access_key": f"user-{secrets.token_hex(4)}", "secret_key": secrets.token_hex(20)}
