"""The pods' network: a part for each node, and a way to the others' parts."""

import json

import pytest

from cluster.docker import Docker
from cluster.engine import Engine
from cluster.network import (
    CONFIGURATION,
    MASQUERADE,
    Node,
    configuration,
    connect,
    nodes_in,
    routes,
)

NODES = [
    Node("a", "172.18.0.2", "10.244.0.0/24"),
    Node("b", "172.18.0.3", "10.244.1.0/24"),
    Node("c", "172.18.0.4", "10.244.2.0/24"),
]
KEEP_INPUT = """
case "$*" in *" sh -c cat "*)
  cat >"$HERE/$3.conflist" ;;
esac
"""
"""Stands in for docker: keeps what a shell in a container is given."""


def described(name, *addresses, **spec):
    """A node as kubectl shows it."""
    found = [{"type": kind, "address": address} for kind, address in addresses]
    return {"metadata": {"name": name}, "spec": spec, "status": {"addresses": found}}


def test_pods_of_a_node_have_addresses_of_its_part_and_a_way_out():
    told = json.loads(configuration(NODES[1]))
    network, ports = told["plugins"]
    assert network == {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "10.244.1.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    assert ports == {"type": "portmap", "capabilities": {"portMappings": True}}


@pytest.mark.parametrize(
    ("nodes", "others"), [(NODES[:1], []), (NODES, [NODES[1], NODES[2]])], ids=["one", "three"]
)
def test_every_other_node_is_a_way_and_the_node_itself_is_none(nodes, others):
    assert routes(NODES[0], nodes) == [
        ["ip", "route", "replace", other.pods, "via", other.address] for other in others
    ]


def test_nodes_are_read_from_the_api_servers_listing():
    inside = ("InternalIP", "172.18.0.2")
    listing = {
        "items": [
            described("a", ("Hostname", "a"), inside, podCIDR="10.244.0.0/24"),
            described("no part yet", inside),
            described("no address yet", ("Hostname", "b"), podCIDR="10.244.1.0/24"),
        ]
    }
    assert nodes_in(json.dumps(listing)) == NODES[:1]


def test_every_node_gets_its_configuration_its_rule_and_its_routes(programs):
    new = f"{CONFIGURATION}.new"
    programs.script("docker", KEEP_INPUT)
    connect(Docker(Engine({"DOCKER_HOST": "unix:///ours"}, owned=True)), NODES[:2])
    for node, other in (NODES[:2], NODES[1::-1]):
        assert (programs.folder / f"{node.name}.conflist").read_text() == configuration(node)
        written, ruled, *routed = programs.calls(f"docker exec --interactive {node.name} ")
        assert written.endswith(f"cat > {new} && mv {new} {CONFIGURATION}")
        assert ruled.endswith(f"-C {MASQUERADE} 2>/dev/null || iptables -t nat -A {MASQUERADE}")
        way = f"ip route replace {other.pods} via {other.address}"
        assert routed == [f"docker exec --interactive {node.name} {way}"]
    assert programs.engines() == {"unix:///ours"}
