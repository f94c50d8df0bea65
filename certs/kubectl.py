"""The door to Kubernetes: kubectl, which knows how to log in to any cluster."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from certs.errors import CertsError

FIELD_MANAGER: Final = "minidata-certs"
"""Who owns the fields; what another manager owns, such as cert-manager, is not overwritten."""


def find_kubectl(environ: Mapping[str, str]) -> str:
    """$MINIDATA_KUBECTL, or the one in the project's cache, or the one on the PATH.

    Raises:
        CertsError: There is none, or the one that was named cannot be run.
    """
    if named := environ.get("MINIDATA_KUBECTL"):
        if program := shutil.which(named, path=environ.get("PATH")):
            return program
        raise CertsError("not a program", where=named, mend="Correct or unset MINIDATA_KUBECTL.")
    cache = environ.get("MINIDATA_CACHE") or Path.home() / ".cache" / "minidata"
    cached = shutil.which(str(Path(cache) / "bin" / "kubectl"))
    if program := cached or shutil.which("kubectl", path=environ.get("PATH")):
        return program
    raise CertsError(
        "not found", where="kubectl", mend="Run `make cluster`, or set MINIDATA_KUBECTL to it."
    )


def apply(manifests: Sequence[Mapping[str, Any]], context: str | None) -> None:
    """Create or update objects by server-side apply; kubectl says on stdout what it did.

    Args:
        manifests: They hold keys, so they go through a pipe: never to a disk or a command line.
        context: Of the kubeconfig; None for the current one.

    Raises:
        CertsError: kubectl is missing or fails; its own words are on stderr.
    """
    kubectl = find_kubectl(os.environ)
    chosen = [] if context is None else [f"--context={context}"]
    command = [kubectl, "apply", "--server-side", f"--field-manager={FIELD_MANAGER}", *chosen]
    everything = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    code = _run([*command, "--filename=-"], json.dumps(everything).encode())
    if code:
        raise CertsError(
            f"apply failed with exit code {code}; its own words are above",
            where=kubectl,
            mend="Check the cluster, --context, and that the namespace exists.",
        )


def _run(command: Sequence[str], manifest: bytes) -> int:
    try:
        return subprocess.run(command, input=manifest, check=False).returncode
    except OSError as error:
        raise CertsError(
            f"cannot be run ({error.strerror})",
            where=command[0],
            mend="Run `make cluster` again, or set MINIDATA_KUBECTL to another.",
        ) from error
