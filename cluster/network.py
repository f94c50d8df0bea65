"""The pods' network where no network plug-in's image can be had.

Each node gets a bridge-less point-to-point network for its own part of the pods' addresses, and a
route to each other node's part. Policies are enforced by what node/network-policies.yaml starts.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from cluster.docker import Docker
from cluster.shell import run

CONFIGURATION = "/etc/cni/net.d/10-pods.conflist"
PODS = "10.244.0.0/16"
"""The addresses that kind gives to pods, of which each node has a part."""
MASQUERADE = f"POSTROUTING -s {PODS} ! -d {PODS} -j MASQUERADE"
"""Pods leave the cluster under their node's address, but meet each other under their own, by which
policies know them. The plug-in could only do so for the pods of one node."""


@dataclass(frozen=True)
class Node:
    """A node as the API server knows it."""

    name: str
    address: str
    pods: str
    """The part of the pods' addresses that is the node's, such as 10.244.1.0/24."""


def configuration(node: Node) -> str:
    """What containerd is told about the network of a node's pods."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": node.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}, indent=2)


def routes(node: Node, nodes: Iterable[Node]) -> list[list[str]]:
    """The commands that show a node the way to the pods of the others."""
    others = (other for other in nodes if other.name != node.name)
    return [["ip", "route", "replace", other.pods, "via", other.address] for other in others]


def nodes_in(listing: str) -> list[Node]:
    """The nodes in `kubectl get nodes --output json`; those without addresses yet are left out."""
    found = []
    for item in json.loads(listing)["items"]:
        addresses = [
            one["address"] for one in item["status"]["addresses"] if one["type"] == "InternalIP"
        ]
        pods = item["spec"].get("podCIDR")
        if pods and addresses:
            found.append(Node(item["metadata"]["name"], addresses[0], pods))
    return found


def connect(docker: Docker, nodes: list[Node]) -> None:
    """Write each node's configuration, rule and routes; the same again changes nothing."""
    for node in nodes:
        inside = ["docker", "exec", "--interactive", node.name]
        # Renamed into place: containerd reads the folder whenever something in it changes.
        script = f"cat > {CONFIGURATION}.new && mv {CONFIGURATION}.new {CONFIGURATION}"
        run([*inside, "sh", "-c", script], env=docker.env, stdin=configuration(node))
        rule = f"iptables -t nat -C {MASQUERADE} 2>/dev/null || iptables -t nat -A {MASQUERADE}"
        run([*inside, "sh", "-c", rule], env=docker.env)
        for route in routes(node, nodes):
            run([*inside, *route], env=docker.env)
