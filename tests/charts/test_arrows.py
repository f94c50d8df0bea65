"""Who may talk to whom in the platform: the page, and the NetworkPolicies that are rendered."""

from itertools import product

import pytest

from tests.charts.arrows import API_SERVER, Arrow, Network
from tests.charts.platform_chart import SETS, installed
from tests.charts.support import NAMESPACE, named
from tests.docs import pages

ADDRESS = "10.0.0.1/32"
KNOWN = {ADDRESS: API_SERVER}
AT_HOME = {"networkPolicy": {"apiServer": {"peers": [{"ipBlock": {"cidr": ADDRESS}}]}}}
"""An installation that knows where its API server is."""
METABASE = "{'podSelector': {'matchLabels': {'app.kubernetes.io/name': 'metabase'}}}"
INJECTED = "{'podSelector': {'matchLabels': {'minidata.io/vault-agent': 'true'}}}"
"""Whom the defaults let in, and is not there."""


OPTION = "with web identity:"
"""How the page's last column begins where an arrow is there by an option alone."""


def injected():
    vault, operator = (SETS["injector"][part] for part in ("vault", "operator"))
    return installed({"vault": vault | AT_HOME, "operator": operator | AT_HOME})


def keyless():
    values = SETS["web-identity"]
    return installed(values | {"minio": values["minio"] | AT_HOME})


@pytest.fixture(scope="module")
def default():
    return installed()


MADE = {"default": installed, "injector": injected, "web identity": keyless}


@pytest.fixture(scope="module", params=MADE)
def installation(request):
    """What is switched on, and the network of it."""
    documents = MADE[request.param]()
    assert named(documents, "NetworkPolicy", "default-deny")
    return request.param, Network.of(documents, KNOWN)


@pytest.fixture(scope="module")
def network(installation):
    return installation[1]


def written(parties, switched_on=""):
    """The arrows of the page between those who are there."""
    found = set()
    for row in pages.rows(pages.section("docs/architecture.md", "Who talks to whom")):
        if row[3].startswith(OPTION) and switched_on != "web identity":
            continue
        senders, receivers, ports = (cell.split(", ") for cell in row[:3])
        senders = parties if senders == ["all"] else senders
        found |= {Arrow(a, b, int(port)) for a, b, port in product(senders, receivers, ports)}
    nobodies = {"DNS", API_SERVER}
    return {a for a in found if {a.sender, a.receiver} <= parties | nobodies}


def test_the_page_has_each_arrow_and_no_other(installation):
    switched_on, network = installation
    assert written(network.parties, switched_on) == network.arrows


def test_the_page_names_only_who_is_there():
    """Or an arrow of somebody who is called otherwise by now would be passed over."""
    parties = Network.of(injected(), KNOWN).parties
    rows = pages.rows(pages.section("docs/architecture.md", "Who talks to whom"))
    assert rows
    spoken_of = {name for row in rows for cell in row[:2] for name in cell.split(", ")}
    assert spoken_of - {"all", "DNS", API_SERVER} == parties


def test_both_sides_allow_what_either_does(network):
    """No rule is there for nothing, but for those whom the defaults already count on."""
    missing = {METABASE} if "vault-injector" in network.parties else {METABASE, INJECTED}
    assert {rule.peer for rule in network.one_sided} == missing


def planted(way, ours, theirs):
    """A policy that lets pods of one name to others, or lets those in."""
    side = {"egress": "to", "ingress": "from"}[way]
    chosen, peer = ({"matchLabels": {"app.kubernetes.io/name": name}} for name in (ours, theirs))
    rule = {side: [{"podSelector": peer}], "ports": [{"port": 9000}]}
    spec = {"podSelector": chosen, "policyTypes": [way.title()], way: [rule]}
    metadata = {"name": f"planted-{way}", "namespace": NAMESPACE}
    return {"kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def test_an_arrow_too_many_is_found(default):
    both = [planted("egress", "postgres", "minio"), planted("ingress", "minio", "postgres")]
    network = Network.of(default + both)
    wrong = network.arrows - written(network.parties)
    assert wrong >= {Arrow("postgres", "minio", 9000)}
    assert {arrow.port for arrow in wrong} == {9000}


@pytest.mark.parametrize(
    "policy",
    [planted("egress", "postgres", "minio"), planted("ingress", "minio", "postgres")],
    ids=["sender", "receiver"],
)
def test_an_arrow_that_one_side_alone_allows_is_found(default, policy):
    before, after = (Network.of(found) for found in (default, [*default, policy]))
    assert after.arrows == before.arrows
    (rule,) = {*after.one_sided} - {*before.one_sided}
    assert rule.policy == policy["metadata"]["name"]


@pytest.mark.parametrize("rule", [{}, {"ports": [{"port": 25}]}], ids=["all", "a port"])
def test_a_rule_without_peers_leads_anywhere(default, rule):
    policy = planted("egress", "postgres", "minio")
    policy["spec"]["egress"] = [rule]
    network = Network.of([*default, policy])
    receivers = {arrow.receiver for arrow in network.arrows - written(network.parties)}
    assert receivers == {"anywhere"}


def test_a_missing_policy_is_found(default):
    without = [d for d in default if d["metadata"]["name"] != "operator-runs"]
    network = Network.of(without)
    lost = written(network.parties) - network.arrows
    assert {arrow.sender for arrow in lost} == {"run"}
