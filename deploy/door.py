"""The door to the cluster: kubectl and helm, always with the same context and namespace."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster import cache
from cluster.shell import ClusterError, run
from deploy.place import LABELS, Place

Manifest = Mapping[str, Any]
MANAGER = "minidata-deploy"
"""Who owns the fields of what is applied here."""


def programs() -> str:
    """A PATH that begins with what `make tools` brings."""
    return f"{cache.binaries()}:{os.environ.get('PATH', '')}"


def program(name: str) -> str:
    """Where a program is.

    Raises:
        ClusterError: It is nowhere.
    """
    if found := shutil.which(name, path=programs()):
        return found
    raise ClusterError(f"there is no {name}", where=str(cache.binaries()), mend="Run `make tools`.")


@dataclass(frozen=True)
class Door:
    """Commands to one installation; each fails with a ClusterError that has the program's words."""

    place: Place

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace; its output."""
        return run(self.kubectl_words(*args), stdin=stdin)

    def kubectl_words(self, *args: str) -> list[str]:
        """The command line of kubectl in the namespace."""
        where = (f"--context={self.place.context}", f"--namespace={self.place.namespace}")
        return [program("kubectl"), *args[:1], *where, *args[1:]]

    def helm(self, *args: str) -> str:
        """Run helm in the namespace; its output."""
        return run(self.helm_words(*args))

    def helm_words(self, *args: str) -> list[str]:
        """The command line of helm in the namespace."""
        where = (f"--kube-context={self.place.context}", f"--namespace={self.place.namespace}")
        return [program("helm"), *args, *where]

    def get(self, *what: str) -> Any:
        """An object or a list of them, as the API server has it; None where there is none."""
        found = self.kubectl("get", *what, "--output=json", "--ignore-not-found")
        return json.loads(found) if found.strip() else None

    def items(self, *what: str) -> list[Any]:
        """The objects of a list."""
        found = self.get(*what)
        return list(found["items"]) if found else []

    def apply(self, *manifests: Manifest) -> None:
        """Create or change objects, whoever had their fields before; content by stdin alone."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        how = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "--filename=-")
        self.kubectl("apply", *how, stdin=json.dumps(listed))

    def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Make a Secret, which must not be there; `data` is base64, and goes by stdin alone."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": LABELS},
            "data": dict(data),
        }
        self.kubectl("create", "--filename=-", stdin=json.dumps(secret))

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to one of a Service, while the block lasts."""
        argv = [program("kubectl"), "port-forward", f"--context={self.place.context}"]
        argv += [f"--namespace={self.place.namespace}", "--address=127.0.0.1", target, f":{port}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _forwarded(process, target)
            finally:
                process.terminate()


def _forwarded(process: "subprocess.Popen[str]", target: str) -> int:
    if process.stdout is None:
        raise AssertionError("asked for with PIPE")
    first = process.stdout.readline()  # Forwarding from 127.0.0.1:41527 -> 9000
    if "->" not in first:
        raise ClusterError(f"no way to {target}; kubectl's own words are above")
    # It goes on talking, and would stand still with nobody listening.
    threading.Thread(target=process.stdout.read, daemon=True).start()
    return int(first.split(" -> ")[0].rpartition(":")[2])
