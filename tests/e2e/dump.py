"""All that somebody needs who was not there when a test on the cluster failed."""

from collections.abc import Callable
from pathlib import Path

from tests.e2e.kube import KubeError, Namespace

KINDS = "pods,jobs,statefulsets,services,persistentvolumeclaims,networkpolicies,configmaps"


def dump(namespace: Namespace, folder: Path) -> str:
    """Write objects, descriptions, events and logs of a namespace to files; no Secret among them.

    Returns:
        The most telling part, to be shown with the failure: events and the state of the pods.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _keep(folder / "objects.yaml", lambda: namespace.kubectl("get", KINDS, "--output=yaml"))
    _keep(folder / "describe.txt", lambda: namespace.kubectl("describe", KINDS))
    _keep(folder / "nodes.txt", lambda: namespace.kubectl("describe", "nodes"))
    for pod in _keep(folder / "names", lambda: namespace.kubectl("get", "pods", "-oname")).split():
        name = pod.replace("/", "-")
        _keep(folder / f"{name}.log", lambda pod=pod: namespace.logs(pod))
        # Of a container that was started again, what its last run said. Most have none.
        _keep(folder / f"{name}.previous.log", lambda pod=pod: namespace.logs(pod, "--previous"))
    shown = [
        _keep(folder / "pods.txt", lambda: namespace.kubectl("get", "pods,jobs,pvc", "-owide")),
        _keep(folder / "events.txt", lambda: namespace.kubectl("events")),
    ]
    return "\n".join([f"more in {folder}", *shown])


def _keep(file: Path, ask: Callable[[], str]) -> str:
    try:
        told = ask()
    except KubeError as error:
        told = str(error)
    file.write_text(told)
    return told
