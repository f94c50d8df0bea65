"""What a release is made of at one moment, as the cluster tells it: which objects are its own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from deploy.door import Door
from deploy.facts import Object, warnings_of

KINDS = "statefulsets,deployments,replicasets,pods,jobs,persistentvolumeclaims"
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Sight:
    """What Helm waits for, and what hangs on it.

    Args:
        release: Helm's name of it.
        objects: Kind -> those of the namespace.
        warnings: UID of an object -> what the last warning about it says, as `Reason: message`.
    """

    release: str
    objects: Mapping[str, list[Object]] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[Object]:
        """The objects of these kinds."""
        return [one for kind in kinds for one in self.objects.get(kind, [])]

    @property
    def workloads(self) -> list[Object]:
        """StatefulSets and Deployments of the release."""
        return [one for one in self.of("StatefulSet", "Deployment") if self._is_own(one)]

    @property
    def jobs(self) -> list[Object]:
        """Jobs of the release, hooks among them; those of runs are the operator's."""
        return [one for one in self.of("Job") if self._is_own(one)]

    @property
    def makers(self) -> list[Object]:
        """What makes the pods of the release as it is now."""
        settled = [one for one in self.workloads if is_settled(one)]
        sets = (_newest_of(one, self.of("ReplicaSet")) for one in settled if _is_deployment(one))
        stateful = [one for one in settled if not _is_deployment(one)]
        return [*stateful, *(one for one in sets if one), *self.jobs]

    @property
    def pods(self) -> list[Object]:
        """Pods made as the release is now: those of before are on their way out."""
        return [pod for one in self.makers for pod in self.pods_of(one) if _is_of_now(pod, one)]

    def pods_of(self, maker: Object) -> Iterator[Object]:
        """The pods that an object has made, without those that are told to end."""
        for pod in self.of("Pod"):
            if owns(maker, pod) and "deletionTimestamp" not in pod["metadata"]:
                yield pod

    def _is_own(self, one: Object) -> bool:
        wanted = {
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/instance": self.release,
        }
        return has_labels(one, wanted)


def look(door: Door) -> Sight:
    """Ask the cluster.

    Raises:
        ClusterError: It does not answer.
    """
    objects: dict[str, list[Object]] = defaultdict(list)
    for one in door.items(KINDS):
        objects[one["kind"]].append(one)
    return Sight(door.place.release, objects, warnings_of(door))


def is_settled(workload: Object) -> bool:
    """Whether its controller has seen what was asked of it last."""
    seen = workload.get("status", {}).get("observedGeneration", 0)
    return bool(seen >= workload["metadata"].get("generation", 0))


def owns(maker: Object, made: Object) -> bool:
    """Whether one object belongs to another."""
    owners = made["metadata"].get("ownerReferences", [])
    uid: str = maker["metadata"]["uid"]
    return uid in {one["uid"] for one in owners}


def has_labels(one: Object, wanted: Mapping[str, str]) -> bool:
    """Whether an object has all of these labels."""
    return bool(wanted.items() <= one["metadata"].get("labels", {}).items())


def _is_deployment(workload: Object) -> bool:
    return bool(workload["kind"] == "Deployment")


def _newest_of(deployment: Object, sets: Iterable[Object]) -> Object | None:
    revision = deployment["metadata"].get("annotations", {}).get(_REVISION)
    for one in sets:
        if owns(deployment, one) and one["metadata"]["annotations"].get(_REVISION) == revision:
            return one
    return None


def _is_of_now(pod: Object, maker: Object) -> bool:
    """What but a StatefulSet makes is always made anew."""
    if maker["kind"] != "StatefulSet":
        return True
    revision = pod["metadata"].get("labels", {}).get("controller-revision-hash")
    return bool(revision == maker["status"].get("updateRevision"))
