"""The door to a cluster and to Helm: one namespace, one context, never another by mistake."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.charts.support import CHARTS, program

CLUSTER = os.environ.get("MINIDATA_CLUSTER", "minidata")
CONTEXT = f"kind-{CLUSTER}"
Manifest = dict[str, Any]


class KubeError(Exception):
    """What kubectl or helm said when it refused."""


def call(name: str, *args: str, stdin: str = "", timeout: float = 60) -> str:
    """Run a program; its standard output.

    Raises:
        KubeError: It failed.
    """
    done = subprocess.run(
        [program(name), *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise KubeError(f"{name} {' '.join(args)}\n{done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Namespace:
    """One namespace of the cluster, and the charts that are installed into it."""

    name: str
    charts: Path = CHARTS

    def kubectl(self, *args: str, stdin: str = "", timeout: float = 60) -> str:
        """Run kubectl in the namespace."""
        place = (f"--context={CONTEXT}", f"--namespace={self.name}")
        return call("kubectl", *place, *args, stdin=stdin, timeout=timeout)

    def apply(self, *manifests: Manifest) -> None:
        """Create or change objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        # Whoever had a field before: what a test installs is what it tests.
        force = ("--server-side", "--force-conflicts")
        self.kubectl("apply", *force, "--filename=-", stdin=json.dumps(listed))

    def get(self, *what: str) -> Manifest:
        """An object, or a list of them, as the API server has it."""
        return json.loads(self.kubectl("get", *what, "--output=json"))

    def secret(self, name: str, **fields: str) -> None:
        """Create or change a Secret; its content goes by standard input alone."""
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "stringData": fields,
            }
        )

    def install(self, chart: str, values: Mapping[str, Any], minutes: int = 5) -> None:
        """Install or upgrade a chart of ours, and wait until it works."""
        self._helm(
            *("upgrade", "--install", chart, str(self.charts / chart), "--values=-", "--wait"),
            *("--wait-for-jobs", f"--timeout={minutes}m"),
            stdin=json.dumps(values),
            timeout=60 * minutes + 30,
        )

    def uninstall(self, chart: str) -> None:
        """Remove a release, and wait until its pods are gone."""
        self._helm("uninstall", chart, "--wait", timeout=300)

    def helm_test(self, chart: str) -> str:
        """Run a release's own test; what its pod said."""
        return self._helm("test", chart, "--logs", "--timeout=3m", timeout=200)

    def _helm(self, *args: str, stdin: str = "", timeout: float = 60) -> str:
        place = (f"--kube-context={CONTEXT}", f"--namespace={self.name}")
        return call("helm", *args, *place, stdin=stdin, timeout=timeout)

    def logs(self, pod: str, *options: str) -> str:
        """What every container of a pod has said."""
        return self.kubectl("logs", pod, "--all-containers", "--prefix", *options)

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to one of a Service or pod."""
        argv = [program("kubectl"), f"--context={CONTEXT}", f"--namespace={self.name}"]
        argv += ["port-forward", "--address=127.0.0.1", target, f":{port}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            try:
                first = process.stdout.readline()  # Forwarding from 127.0.0.1:41527 -> 9000
                if "->" not in first:
                    raise KubeError(f"no way to {target}: {first}")
                # It goes on talking, and would stand still with nobody listening.
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield int(first.split(" -> ")[0].rpartition(":")[2])
            finally:
                process.terminate()
