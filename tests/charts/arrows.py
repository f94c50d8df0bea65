"""Who may talk to whom: the NetworkPolicies of a namespace, resolved against its pods. Pure.

A policy only allows, and a pod that none selects may do anything; so whoever asks here installs the
policy that denies. Between pods an arrow takes two rules: the sender's and the receiver's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product, starmap
from typing import Self

from sales_api.names import PIPELINE
from tests.charts.support import NAMESPACE, Document, Pod, of_kind, pods, selects, steady

DNS, API_SERVER, ANYWHERE = "DNS", "API server", "anywhere"
RUN = "run"
_PORTS = {DNS: {53}, API_SERVER: {443, 6443}}
"""What is no pod, and is known by its ports alone."""
_HOME = {"kubernetes.io/metadata.name": NAMESPACE}


@dataclass(frozen=True, order=True)
class Arrow:
    """One may call another at a port."""

    sender: str
    receiver: str
    port: int | str


@dataclass(frozen=True)
class Rule:
    """What one peer of one rule allows, if the other side does too."""

    policy: str
    peer: str
    arrows: frozenset[Arrow]


@dataclass(frozen=True)
class Network:
    """The rules of both directions, and who there is."""

    parties: frozenset[str]
    egress: tuple[Rule, ...]
    ingress: tuple[Rule, ...]

    @classmethod
    def of(cls, documents: list[Document], known: dict[str, str] | None = None) -> Self:
        """That of all documents, which have one namespace.

        Args:
            documents: Policies, and whatever makes pods.
            known: What is behind an address: CIDR to name.
        """
        named = [(party(pod), pod) for pod in pods(documents)]
        resolver = _Resolver(named, known or {})
        policies = of_kind(documents, "NetworkPolicy")
        both = ([*resolver.rules(policies, way)] for way in ("egress", "ingress"))
        egress, ingress = (tuple(rules) for rules in both)
        return cls(frozenset(name for name, _ in named), egress, ingress)

    @property
    def arrows(self) -> set[Arrow]:
        """Who may talk to whom."""
        out, into = _union(self.egress), _union(self.ingress)
        return {
            arrow
            for arrow in out | into
            if arrow in out or arrow.sender not in self.parties
            if {arrow, replace(arrow, sender=ANYWHERE)} & into or arrow.receiver not in self.parties
        }

    @property
    def one_sided(self) -> list[Rule]:
        """Rules that allow nothing, for the other side does not, or is not there."""
        return [rule for rule in (*self.egress, *self.ingress) if not rule.arrows & self.arrows]


def party(pod: Pod) -> str:
    """What a pod is called in the table of arrows."""
    name = steady(pod.owner.partition("/")[2])
    return RUN if pod.labels.get("app.kubernetes.io/name") == PIPELINE else name


@dataclass(frozen=True)
class _Resolver:
    pods: list[tuple[str, Pod]]
    known: dict[str, str]

    def rules(self, policies: list[Document], way: str) -> Iterator[Rule]:
        """What each peer of each rule of one direction allows."""
        for policy in policies:
            ours = self._selected(policy["spec"]["podSelector"])
            for rule in policy["spec"].get(way, []):
                ports = {port["port"] for port in rule.get("ports", [])} or {"any"}
                for peer in rule.get("to" if way == "egress" else "from") or [None]:
                    theirs = self._behind(peer) if peer else {_unnamed(way, ports)}
                    senders, receivers = (ours, theirs) if way == "egress" else (theirs, ours)
                    found = starmap(Arrow, product(senders, receivers, ports))
                    yield Rule(policy["metadata"]["name"], str(peer), frozenset(found))

    def _behind(self, peer: Document) -> set[str]:
        if "ipBlock" in peer:
            cidr = peer["ipBlock"]["cidr"]
            return {self.known.get(cidr, cidr)}
        is_home = selects(peer.get("namespaceSelector", {}), _HOME)
        return self._selected(peer.get("podSelector", {})) if is_home else set()

    def _selected(self, selector: Document) -> set[str]:
        return {name for name, pod in self.pods if selects(selector, pod.labels)}


def _unnamed(way: str, ports: set[int | str]) -> str:
    """Whom a rule without a peer means, which lets to anybody."""
    meant = (name for name, own in _PORTS.items() if way == "egress" and ports <= own)
    return next(meant, ANYWHERE)


def _union(rules: tuple[Rule, ...]) -> set[Arrow]:
    return {arrow for rule in rules for arrow in rule.arrows}
