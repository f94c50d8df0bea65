"""Who reaches whom, tried from pods that have the labels of the platform's own."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.pins import PIPELINE_IMAGE
from tests.charts.arrows import API_SERVER, DNS, Arrow, party
from tests.charts.platform_chart import installed
from tests.charts.support import pods
from tests.e2e.kube import Manifest, Namespace

STRANGER = "stranger"
_SCRIPT = """
import json, socket, sys, time

def opens(target):
    try:
        socket.create_connection(target, 2).close()
    except OSError:
        return False
    return True

asked, wanted = json.loads(sys.argv[1]), set(sys.argv[2:])
# The rules know this pod a moment after it has started, be it what they let through or what not.
end = time.monotonic() + 30
while True:
    found = {name: opens(target) for name, target in asked.items()}
    if {name for name in found if found[name]} == wanted or time.monotonic() > end:
        break
    time.sleep(0.5)
print(json.dumps(found))
"""
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True)
class Target:
    """A port that is open to somebody."""

    receiver: str
    port: int
    address: str


def labels_of_parties(release: str) -> dict[str, dict[str, str]]:
    """Everybody of the platform -> the labels that policies go by; and somebody who has none."""
    found: dict[str, dict[str, str]] = {STRANGER: {}}
    for pod in pods(installed()):
        ours = {k: v for k, v in pod.labels.items() if k.startswith("app.kubernetes.io/")}
        if "app.kubernetes.io/instance" in ours:
            ours["app.kubernetes.io/instance"] = release
        found[party(pod)] = ours
    return found


def targets(namespace: Namespace, arrows: Iterable[Arrow]) -> list[Target]:
    """The ports of the arrows, where they are in this cluster."""
    places = {
        API_SERVER: _service("default", "kubernetes"),
        DNS: _service("kube-system", "kube-dns"),
    }
    for pod in namespace.get("pods", "--selector=app.kubernetes.io/component in (server,operator)")[
        "items"
    ]:
        name = pod["metadata"]["labels"]["app.kubernetes.io/name"]
        places[name.removeprefix("sales-")] = pod["status"]["podIP"]
    wanted = {(arrow.receiver, int(arrow.port)) for arrow in arrows}
    # The API server's other port is where its Service leads.
    return [Target(who, port, places[who]) for who, port in sorted(wanted) if port != 6443]


def tried(
    namespace: Namespace,
    parties: Mapping[str, dict[str, str]],
    open_to: Mapping[str, set[Target]],
    ports: list[Target],
) -> set[Arrow]:
    """Let a pod of each party try each port; the arrows that were found open.

    Args:
        namespace: Where the platform is.
        parties: Name -> labels.
        open_to: Name -> the ports that are expected to be the open ones, in a while.
        ports: All that are tried.
    """
    namespace.apply(*(_probe(who, own, open_to[who], ports) for who, own in parties.items()))
    found = set()
    for who in parties:
        pod = f"pod/probe-{who}"
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        namespace.kubectl("wait", pod, ended, "--timeout=120s", timeout=130)
        said = json.loads(namespace.kubectl("logs", pod))
        found |= {Arrow(who, t.receiver, t.port) for t in ports if said[_name(t)]}
    namespace.kubectl("delete", "pods", "--selector=minidata.io/probe", "--grace-period=1")
    return found


def _service(namespace: str, name: str) -> str:
    address: str = Namespace(namespace).get("service", name)["spec"]["clusterIP"]
    return address


def _name(target: Target) -> str:
    return f"{target.receiver}:{target.port}"


def _probe(
    who: str, labels: Mapping[str, str], opens: set[Target], ports: list[Target]
) -> Manifest:
    asked = json.dumps({_name(t): [t.address, t.port] for t in ports})
    names = [_name(t) for t in ports if t in opens]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"probe-{who}", "labels": {**labels, "minidata.io/probe": ""}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "probe",
                    "image": PIPELINE_IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/opt/venv/bin/python", "-c", _SCRIPT, asked, *names],
                    "securityContext": _RESTRICTED,
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                    # Never ready: a Service would lead callers here by the labels.
                    "readinessProbe": {"exec": {"command": ["false"]}},
                }
            ],
        },
    }
