"""The operator's pods: how many there are, what they count, what they use."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.cluster.api import Api
from tests.e2e.kube import Manifest, Namespace

_SELECTOR = "app.kubernetes.io/component=operator"
_NANO = 10**9
_MIB = 2**20

Counts = Counter[tuple[str, tuple[tuple[str, str], ...]]]
"""Name and labels of a sample -> its value, summed over the replicas."""


@dataclass(frozen=True)
class Use:
    """What one container has used, as its kubelet tells."""

    pod: str
    at: float
    """When the kubelet looked, in seconds since 1970."""
    cpu_seconds: float
    """Since the container began."""
    memory_mib: float
    """Its working set: what the limit counts, without caches that can be dropped."""


@dataclass(frozen=True)
class Replicas:
    """The pods of one installation's operator."""

    api: Api
    namespace: Namespace

    def scale(self, number: int) -> None:
        """Have so many of them, and wait until it is so."""
        self.namespace.kubectl("scale", "deployment/operator", f"--replicas={number}")
        if number:
            self.namespace.kubectl("rollout", "status", "deployment/operator", timeout=300)
        else:
            gone = ("wait", "pods", f"--selector={_SELECTOR}", "--for=delete", "--timeout=120s")
            self.namespace.kubectl(*gone, timeout=130)

    def pods(self) -> list[str]:
        """The names of those that run, in order."""
        return sorted(pod["metadata"]["name"] for pod in self._running())

    def restarts(self) -> int:
        """How often a container of those that run had to begin anew."""
        statuses = (pod["status"].get("containerStatuses", []) for pod in self._running())
        return sum(one["restartCount"] for of_pod in statuses for one in of_pod)

    def _running(self) -> list[Manifest]:
        path = f"/api/v1/namespaces/{self.namespace.name}/pods?labelSelector={_SELECTOR}"
        return [
            pod
            for pod in self.api.get(path)["items"]
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def counts(self) -> Counts:
        """All that they count, together."""
        found: Counts = Counter()
        for pod in self.pods():
            place = f"/api/v1/namespaces/{self.namespace.name}/pods/https:{pod}:8443/proxy/metrics"
            found += counts_in(self.api.text(place))
        return found

    def uses(self) -> list[Use]:
        """What each of them uses; each kubelet looks every few seconds."""
        running = self._running()
        wanted = {pod["metadata"]["name"] for pod in running}
        nodes = {pod["spec"]["nodeName"] for pod in running}
        told = (self.api.get(f"/api/v1/nodes/{node}/proxy/stats/summary") for node in nodes)
        return [use for summary in told for use in uses_in(summary) if use.pod in wanted]


def counts_in(text: str) -> Counts:
    """The samples of one exposition."""
    return Counter(
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


def total(counts: Counts, name: str) -> float:
    """The sum of a metric over all labels."""
    return sum(value for (sample, _), value in counts.items() if sample == name)


def requests(counts: Counts) -> Counter[str]:
    """Requests to the API server, such as `PATCH salesingests`, the status of one included.

    Those for the Lease are left out: they only grow with time.
    """
    found: Counter[str] = Counter()
    for (name, labels), value in counts.items():
        told = dict(labels)
        if name == "sales_operator_api_requests_total" and told["resource"] != "leases":
            found[f"{told['verb']} {told['resource']}"] += round(value)
    return found


def uses_in(summary: Mapping[str, Any]) -> list[Use]:
    """What the containers of a node use; those that the kubelet has not looked at yet are left."""
    return [
        Use(
            pod=pod["podRef"]["name"],
            at=datetime.fromisoformat(container["cpu"]["time"]).timestamp(),
            cpu_seconds=container["cpu"]["usageCoreNanoSeconds"] / _NANO,
            memory_mib=container["memory"]["workingSetBytes"] / _MIB,
        )
        for pod in summary["pods"]
        for container in pod.get("containers", [])
        if "usageCoreNanoSeconds" in container.get("cpu", {})
        and "workingSetBytes" in container.get("memory", {})
    ]


def by_pod(uses: Sequence[Use]) -> list[list[Use]]:
    """What each pod has used, in the order of time."""
    found: dict[str, list[Use]] = {}
    for use in sorted(uses, key=lambda use: use.at):
        found.setdefault(use.pod, []).append(use)
    return list(found.values())


def cores(uses: Iterable[Use]) -> float:
    """How many cores a container has kept busy on average, between its first and last look."""
    seen = sorted(uses, key=lambda use: use.at)
    seconds = seen[-1].at - seen[0].at
    return (seen[-1].cpu_seconds - seen[0].cpu_seconds) / seconds if seconds else 0.0
