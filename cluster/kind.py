"""One kind cluster: there and well, or made anew; and gone without a trace."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster import cache, gobuild, images, network, node, pins
from cluster.docker import Docker
from cluster.roads import Choice, Road
from cluster.shell import ClusterError, run, say, step

CONFIGURATIONS = {1: "one-node.yaml", 3: "three-nodes.yaml"}
READY_SECONDS = 180
REPAIR_SECONDS = 60
SYSTEM = (
    ("kube-system", "deployment/coredns"),
    ("local-path-storage", "deployment/local-path-provisioner"),
)
"""What has to run before a cluster is of use: names of Services, and volumes."""
ENFORCER = ("kube-system", "daemonset/kube-router")
"""With our own node image what enforces NetworkPolicies, too; a published one's network does."""


def name() -> str:
    """The cluster's name: `minidata` unless MINIDATA_CLUSTER says otherwise."""
    return os.environ.get("MINIDATA_CLUSTER") or pins.CLUSTER


@dataclass(frozen=True)
class Kind:
    """kind and kubectl, each with the engine and the cluster to talk to."""

    docker: Docker
    tools: dict[str, Path]

    def kind(self, *args: str | Path, log: Path | None = None) -> str:
        """Run kind on this cluster."""
        return run([self.tools["kind"], *args, "--name", name()], env=self.docker.env, log=log)

    def kubectl(self, *args: str) -> str:
        """Run kubectl on this cluster, whichever is the current context."""
        return run([self.tools["kubectl"], f"--context=kind-{name()}", *args])

    def clusters(self) -> list[str]:
        """The names of all clusters that the engine has anything of."""
        return run([self.tools["kind"], "get", "clusters"], env=self.docker.env).split()

    def exists(self) -> bool:
        """Whether there is anything of this cluster."""
        return name() in self.clusters()

    def delete(self) -> None:
        """Remove the cluster, or what is left of it, and its entry in the kubeconfig."""
        self.kind("delete", "cluster")

    def count_nodes(self) -> int:
        """How many nodes the API server knows.

        Raises:
            ClusterError: It does not answer.
        """
        self.kind("export", "kubeconfig")
        return len(self.kubectl("get", "nodes", "--output=name", "--request-timeout=5s").split())


def open_kind(docker: Docker) -> Kind:
    """The tools from the cache, made if need be."""
    return Kind(docker, gobuild.ensure_tools())


def ensure(kind: Kind, choice: Choice, nodes: int) -> None:
    """A cluster of so many nodes, which are ready, and on which the system's own pods run.

    One that is there and well is used; what is left of another one is deleted first.

    Raises:
        ClusterError: It does not come up; what its nodes logged lies where the error says.
    """
    image = _node_image(kind.docker, choice)
    if kind.exists():
        if _is_well(kind, image, nodes):
            return
        say(f"the cluster {name()} is broken, of another version or size: making it anew")
        kind.delete()
    try:
        _create(kind, image, nodes)
        _finish(kind, nodes, READY_SECONDS)
    except ClusterError as error:
        raise _with_logs(kind, error) from None


def _is_well(kind: Kind, image: str, nodes: int) -> bool:
    try:
        form = ("inspect", "--format", "{{.Image}}", f"{name()}-control-plane")
        if kind.docker.call(*form).strip() != kind.docker.identity(image):
            return False
        if kind.count_nodes() != nodes:
            return False
        _finish(kind, nodes, REPAIR_SECONDS)
    except ClusterError as error:
        say(str(error))
        return False
    return True


def _node_image(docker: Docker, choice: Choice) -> str:
    if choice.road is Road.PACKAGES:
        return node.ensure(docker)
    images.pull(docker, choice, (pins.NODE_IMAGE,))
    return pins.NODE_IMAGE


def _create(kind: Kind, image: str, nodes: int) -> None:
    configuration = Path(__file__).parent / "kind_config" / CONFIGURATIONS[nodes]
    with step(f"kind cluster {name()}"):
        options = ("--config", configuration, "--image", image, "--retain")
        kind.kind("create", "cluster", *options, log=cache.log_file("kind-create"))


def _finish(kind: Kind, nodes: int, seconds: int) -> None:
    """Connect the nodes of our own image, and wait until they and the system's pods are ready."""
    limit = f"--timeout={seconds}s"
    system = list(SYSTEM)
    with step(f"waiting until nodes ({nodes}), names and volumes are ready"):
        if kind.docker.recipe(pins.NODE_IMAGE):
            kind.kubectl("wait", "--for=jsonpath={.spec.podCIDR}", "nodes", "--all", limit)
            listing = kind.kubectl("get", "nodes", "--output=json")
            network.connect(kind.docker, network.nodes_in(listing))
            system.append(ENFORCER)
        kind.kubectl("wait", "--for=condition=Ready", "nodes", "--all", limit)
        for namespace, workload in system:
            kind.kubectl("--namespace", namespace, "rollout", "status", workload, limit)


def _with_logs(kind: Kind, error: ClusterError) -> ClusterError:
    """Keep what the nodes logged, then remove them: the next try shall begin with nothing."""
    folder = cache.root() / "logs" / f"cluster-{name()}"
    cache.remove(folder)
    _try(lambda: kind.kind("export", "logs", folder))
    _try(kind.delete)
    return ClusterError(error.what, where=f"{error.where} {folder}".strip(), mend=error.mend)


def _try(action: Callable[[], object]) -> None:
    try:
        action()
    except ClusterError as error:
        say(str(error))
