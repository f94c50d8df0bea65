"""The pods' network: a part for each node, and a way to the others' parts."""

import json

from cluster.network import Node, configuration, nodes_in, routes

NODES = [
    Node("a", "172.18.0.2", "10.244.0.0/24"),
    Node("b", "172.18.0.3", "10.244.1.0/24"),
    Node("c", "172.18.0.4", "10.244.2.0/24"),
]


def listing(*nodes):
    return json.dumps({"items": list(nodes)})


def described(name, address="172.18.0.2", **spec):
    addresses = [
        {"type": "Hostname", "address": name},
        {"type": "InternalIP", "address": address},
    ]
    return {"metadata": {"name": name}, "spec": spec, "status": {"addresses": addresses}}


def test_pods_of_a_node_have_addresses_of_its_part():
    told = json.loads(configuration(NODES[1]))
    network, ports = told["plugins"]
    assert network["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert network["ipMasq"] is True
    assert ports["type"] == "portmap"


def test_every_other_node_is_a_way_and_the_node_itself_is_none():
    assert routes(NODES[0], NODES) == [
        ["ip", "route", "replace", "10.244.1.0/24", "via", "172.18.0.3"],
        ["ip", "route", "replace", "10.244.2.0/24", "via", "172.18.0.4"],
    ]
    assert routes(NODES[0], NODES[:1]) == []


def test_nodes_are_read_from_the_api_servers_listing():
    told = listing(described("a", podCIDR="10.244.0.0/24"), described("late"))
    assert nodes_in(told) == NODES[:1]
