"""cert-manager beside the cluster, and the platform with certificates of its making alone."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml

from cluster import cache, gobuild, pins
from tests.charts.support import CHARTS, KUBE_VERSION, helm, program
from tests.docs import pages
from tests.e2e.installation import CRD, KEY_BYTES, Installation, restricted
from tests.e2e.kube import CONTEXT, Manifest, Namespace, call
from tests.e2e.vaulted import VAULT, seal_key

CA = "minidata-ca"
"""The ConfigMap, and the Certificate of the CA itself."""
ON: dict[str, Any] = {"tls": {"certManager": {"enabled": True}}}
PORTS = {"minio": 9000, "postgres": 5432, "vault": 8200, "operator": 8443}
"""Chart, Service and Certificate -> where the certificate is shown."""
_SOURCE = pages.ROOT / "cluster" / "cert_manager"
_PAGE = "charts/platform/README.md"
_SECTION = "With cert-manager"
_END_SECONDS = 30
_TOLD = 4000
"""How much of its log a failure shows."""


@contextmanager
def cert_manager(folder: Path) -> Iterator[None]:
    """It and its definitions, for as long as the block runs.

    Args:
        folder: Where its log is, and the way into the cluster.

    Raises:
        ClusterError: It cannot be had.
    """
    argv = [_ensure(), f"--kubeconfig={kubeconfig(folder)}"]
    definitions = gobuild.module_folder(pins.CERTIFICATE_MAKER) / "deploy" / "crds"
    here = (f"--context={CONTEXT}", f"--filename={definitions}")
    call("kubectl", "apply", "--server-side", *here)
    call("kubectl", "wait", "--for=condition=Established", *here)
    path = folder / "cert-manager.log"
    with path.open("w") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            yield
        except BaseException as error:
            error.add_note(path.read_text()[-_TOLD:])
            raise
        finally:
            process.terminate()
            process.wait(_END_SECONDS)
            call("kubectl", "delete", "--ignore-not-found", *here)


def _ensure() -> Path:
    """The program, compiled the first time that it is asked for."""
    if not gobuild.folder_around(pins.CERTIFICATE_MAKER, _SOURCE).exists():
        with cache.lock("cluster"):
            gobuild.ensure_around(pins.CERTIFICATE_MAKER, _SOURCE)
            gobuild.drop_sources()
    return gobuild.ensure_around(pins.CERTIFICATE_MAKER, _SOURCE)


def kubeconfig(folder: Path) -> Path:
    """A file in the folder that leads to the one cluster, for programs that know no contexts."""
    (file := folder / "kubeconfig").touch(mode=0o600)
    view = ("config", "view", "--minify", "--flatten", "--raw", f"--context={CONTEXT}")
    file.write_text(call("kubectl", *view))
    return file


@dataclass(frozen=True)
class CertManaged(Installation):
    """A running platform, with a server of Vault that holds nothing of it."""

    @classmethod
    def make(cls, namespace: Namespace, folder: Path) -> Self:
        """A CA as the documents have it made, Secrets, all charts."""
        namespace.apply(yaml.safe_load(CRD.read_text("utf-8")))
        namespace.apply(restricted(namespace.name))
        _follow(namespace, folder)
        made = cls(namespace, folder / "ca.crt", {}, secrets.token_bytes(KEY_BYTES))
        made._write_secrets()
        namespace.apply(seal_key())
        made.install()
        return made

    def charts(self) -> dict[str, dict[str, Any]]:
        """Those of the platform, and Vault's."""
        return {name: values | ON for name, values in (super().charts() | {"vault": VAULT}).items()}

    def renew(self, name: str) -> None:
        """What `cmctl renew` does: have a new certificate made before its time."""
        issuing = {
            "type": "Issuing",
            "status": "True",
            "reason": "ManuallyTriggered",
            "message": "a test wants another one",
            "lastTransitionTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        patch = [{"op": "add", "path": "/status/conditions/-", "value": issuing}]
        words = ("--subresource=status", "--type=json", f"--patch={json.dumps(patch)}")
        self.namespace.kubectl("patch", "certificate", name, *words)


def _follow(namespace: Namespace, folder: Path) -> None:
    """Do what the page says, in our namespace; `ca.crt` is in the folder then.

    Raises:
        AssertionError: One of the commands failed. The text has what they said.
    """
    part = pages.section(_PAGE, _SECTION)
    (issuer,) = (one for one in pages.blocks("yaml") if one.text in part)
    (commands,) = (one for one in pages.blocks("console") if one.text in part)
    (folder / "issuer.yaml").write_text(
        issuer.text.replace("namespace: minidata", f"namespace: {namespace.name}")
    )
    script = "\n".join(["set -Eeuo pipefail", *pages.lines(commands)])
    done = subprocess.run(
        ["bash", "-c", script.replace("-n minidata ", f"-n {namespace.name} ")],
        cwd=folder,
        env={
            **os.environ,
            "KUBECONFIG": str(folder / "kubeconfig"),
            "PATH": f"{Path(program('kubectl')).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{_SECTION}: {done.stdout}\n{done.stderr}"


def injector_of(namespace: Namespace) -> list[Manifest]:
    """The injector's Certificate and its webhook, as Vault's chart renders them for a namespace."""
    shown = [f"--show-only=templates/{name}.yaml" for name in ("certificates", "injector-webhook")]
    place = (f"--namespace={namespace.name}", f"--kube-version={KUBE_VERSION}")
    rendered = helm("template", "vault", str(CHARTS / "vault"), *place, *shown, values=ON)
    return [
        one for one in yaml.safe_load_all(rendered) if one["metadata"]["name"].endswith("-injector")
    ]
