"""A node on which pods only seem to run, played by kwok; what they would do is up to others."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cluster.api import Api
from cluster import cache, gobuild, pins

NODE = "minidata-bench"
OURS = {"minidata.io/test": "bench"}
"""Labels of the namespace and the node made here: what a killed run left is removed by the next."""
REPORT = "minidata.io/bench-report"
"""Annotation of a pod that shall end well: the report that it ends with."""
PLACEMENT = {
    "nodeSelector": {"kubernetes.io/hostname": NODE},
    "tolerations": [{"key": "minidata.io/bench", "operator": "Exists", "effect": "NoSchedule"}],
}
"""In `spec.job` of an ingest: its runs go there."""

_LABELS = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", **OURS}
_ROOM = {"cpu": "10k", "memory": "10Ti", "ephemeral-storage": "10Ti", "pods": "20k"}
_STAGES = Path(__file__).with_name("stages.yaml")
_LEASE_SECONDS = 40
_END_SECONDS = 30


def ensure_kwok() -> Path:
    """The program, compiled the first time that it is asked for.

    Raises:
        ClusterError: It cannot be had.
    """
    if not gobuild.folder_of(pins.FAKE_NODES).exists():
        with cache.lock("cluster"):
            gobuild.ensure([pins.FAKE_NODES])
            gobuild.drop_sources()
    return gobuild.ensure([pins.FAKE_NODES])["kwok"]


@contextmanager
def fake_node(api: Api, folder: Path) -> Iterator[None]:
    """The node, for as long as the block runs; nothing but `PLACEMENT` brings a pod there."""
    argv = [ensure_kwok(), f"--config={_STAGES}", f"--kubeconfig={api.kubeconfig}"]
    argv += [f"--manage-single-node={NODE}", f"--node-lease-duration-seconds={_LEASE_SECONDS}"]
    with (folder / "kwok.log").open("w") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            api.create("/api/v1/nodes", _node())
            yield
        finally:
            api.delete(f"/api/v1/nodes/{NODE}")
            process.terminate()
            process.wait(_END_SECONDS)


def _node() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": _LABELS},
        "spec": {"taints": [{"key": "minidata.io/bench", "effect": "NoSchedule"}]},
        "status": {"capacity": _ROOM, "allocatable": _ROOM},
    }
