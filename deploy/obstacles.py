"""What stands in the way of a release. Pure: what there is in, obstacles out.

Parts of a fresh install wait for each other: an agent fails until Vault lets it in, a volume comes
once its pod has a place. So each obstacle has a patience, the seconds that it has to last before it
is held to be there for good.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from deploy.facts import Object
from deploy.pods import condition, containers, held_up
from deploy.sight import Sight, has_labels, is_settled, owns

Seen = dict[tuple[str, str], float]
"""Key of an obstacle -> by a clock that does not jump, when it was seen first."""

SETTLING_SECONDS = 10.0
"""Helm and controllers need some seconds until nothing of before is left to be seen."""
IMAGE_SECONDS = 20.0
"""The kubelet has tried twice by then: a registry may fail once."""
CREATING_SECONDS = 30.0
"""A pod may be there before the Secret that it names, or the network of its node."""
PLACE_SECONDS = 60.0
"""A volume takes up to twenty seconds, and a pod in the same place thirty to end."""
FAILURES = 3
"""Restarts of a container, or failed pods of a Job: by the usual pauses half a minute. Of a fresh
install that takes its time agents restart twice, and nothing else does."""
SETUP_SECONDS = 20.0
"""How long after its start Vault's setup may take until every agent is let in."""

ALWAYS = datetime.fromtimestamp(0, UTC)
"""Since when agents are let in where nothing says otherwise."""
AGENT = "vault-agent"
"""The init container that gets a pod's secrets from Vault."""
SERVER = {"app.kubernetes.io/name": "vault", "app.kubernetes.io/component": "server"}
SETUP = {"app.kubernetes.io/name": "vault", "app.kubernetes.io/component": "setup"}
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_CREATING = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}

FETCH = (
    "name an image that the cluster can have; `make images load` brings those of this repository"
)
COMPLETE = "make what it names, or name another in the values"
ROOM = "make room on the nodes, or ask for less by `resources` in the values"
STORAGE = "see its Events; has the cluster a default StorageClass, and room?"
READ = "its log says why"
FAILED = "failed"
"""Kind of the obstacle that a Job is which is not tried again."""


@dataclass(frozen=True)
class Obstacle:
    """One thing that keeps a release from coming about.

    Args:
        at: What it is about, such as a pod and its container.
        kind: Which kind of obstacle; with `at` it tells one from another.
        why: The cluster's own words.
        mend: What to do about it.
        patience: For how many seconds it has to last to be certain.
        log: Pod and container whose log says more.
        like: What its replicas have in common with it; empty where it has none.
    """

    at: str
    kind: str
    why: str
    mend: str
    patience: float = SETTLING_SECONDS
    log: tuple[str, str] | None = None
    like: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The same for as long as it lasts, though its words may change."""
        return self.at, self.kind


def obstacles(sight: Sight) -> list[Obstacle]:
    """All there are, certain or not, causes before what follows from them."""
    pods = sight.pods
    entrance = entered_since(sight)
    found = chain(
        filter(None, (of_pod(pod, sight.warnings, entrance) for pod in pods)),
        filter(None, (of_job(job, list(sight.pods_of(job))) for job in sight.jobs)),
        _of_claims(sight, pods),
        _of_makers(sight),
    )
    return list(found)


def since(seen: Seen, found: Iterable[Obstacle], now: float) -> Seen:
    """When each was seen first, of those that are still there."""
    return {one.key: seen.get(one.key, now) for one in found}


def certain(seen: Seen, found: Iterable[Obstacle], now: float) -> list[Obstacle]:
    """Those that have lasted."""
    return [one for one in found if now - seen[one.key] >= one.patience]


def broken(sight: Sight) -> list[str]:
    """Pods of workloads that cannot start, of whichever revision.

    What held them up may be mended by now, and they would be tried again after minutes only.
    """
    sets = [one for one in sight.of("ReplicaSet") if any(owns(of, one) for of in sight.workloads)]
    pods = [pod for one in [*sight.workloads, *sets] for pod in sight.pods_of(one)]
    return [pod["metadata"]["name"] for pod in pods if of_pod(pod, sight.warnings, ALWAYS)]


def left_behind(sight: Sight) -> list[str]:
    """Pods of an earlier revision that cannot start: their StatefulSet waits until they do.

    It would for ever, and never bring in what mends them, unless somebody deletes them.
    """
    stateful = [one for one in sight.workloads if one["kind"] == "StatefulSet" and is_settled(one)]
    rolling = [one for one in stateful if one["spec"]["updateStrategy"]["type"] == "RollingUpdate"]
    current = {pod["metadata"]["uid"] for pod in sight.pods}
    pods = [pod for one in rolling for pod in sight.pods_of(one)]
    old = [pod for pod in pods if pod["metadata"]["uid"] not in current]
    entrance = entered_since(sight)
    return [pod["metadata"]["name"] for pod in old if of_pod(pod, sight.warnings, entrance)]


def unready(sight: Sight) -> list[str]:
    """What is not as it should be yet, each as one word or two."""
    told = []
    for one in sight.workloads:
        wanted, status = one["spec"].get("replicas", 1), one.get("status", {})
        ready = status.get("readyReplicas", 0)
        if one["spec"].get("updateStrategy", {}).get("type") != "OnDelete":
            ready = min(ready, status.get("updatedReplicas", 0))
        if not is_settled(one) or ready < wanted:
            told.append(f"{one['metadata']['name']} {ready}/{wanted}")
    open_jobs = [job for job in sight.jobs if condition(job, "Complete").get("status") != "True"]
    return told + [job["metadata"]["name"] for job in open_jobs]


def entered_since(sight: Sight) -> datetime | None:
    """Since when Vault lets agents in: servers ready, setup begun; None: it does not yet."""
    times = [ALWAYS]
    for pod in sight.pods:
        if has_labels(pod, SERVER):
            ready = condition(pod, "Ready")
            if ready.get("status") != "True":
                return None
            times.append(_time(ready["lastTransitionTime"]))
    for job in sight.jobs:
        if has_labels(job, SETUP) and condition(job, "Complete").get("status") != "True":
            begun = [at for pod in sight.pods_of(job) for at in _starts(pod)]
            if not begun:
                return None
            times.append(min(begun))
    return max(times)


# --- pods -----------------------------------------------------------------------------------------


def of_pod(pod: Object, warnings: Mapping[str, str], entrance: datetime | None) -> Obstacle | None:
    """What keeps a pod from starting.

    Args:
        pod: The pod.
        warnings: UID -> last warning.
        entrance: Since when Vault lets agents in.
    """
    name = f"pod {pod['metadata']['name']}"
    if pod["status"].get("phase") in {"Succeeded", "Failed"}:
        return None
    place = condition(pod, "PodScheduled")
    if place.get("reason") == "Unschedulable":
        why = f"Unschedulable: {place.get('message', '')}"
        return Obstacle(name, "place", why, ROOM, PLACE_SECONDS)
    warning = warnings.get(pod["metadata"]["uid"], "")
    if warning and condition(pod, "PodReadyToStartContainers").get("status") == "False":
        return Obstacle(name, "creating", warning, COMPLETE, CREATING_SECONDS)
    found = (_of_container(pod, one, entrance) for one in containers(pod))
    return next(filter(None, found), None)


def _of_container(pod: Object, container: Object, entrance: datetime | None) -> Obstacle | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    metadata = pod["metadata"]
    at = f"pod {metadata['name']}, container {container['name']}"
    like = f"{metadata.get('generateName', metadata['name'])} {container['name']}"
    why = ": ".join(filter(None, (reason, waiting.get("message", ""))))
    if reason in _IMAGE:
        return Obstacle(at, "image", why, FETCH, IMAGE_SECONDS, like=like)
    if reason in _CREATING:
        return Obstacle(at, "creating", why, COMPLETE, CREATING_SECONDS, like=like)
    if reason == "CrashLoopBackOff" and _is_hopeless(container, entrance):
        log = (metadata["name"], container["name"])
        why = f"it has ended {_ends(container)}: {why}"
        return Obstacle(at, "crash", why, READ, log=log, like=like)
    return None


def _is_hopeless(container: Object, entrance: datetime | None) -> bool:
    if container.get("restartCount", 0) < FAILURES:
        return False
    if container["name"] != AGENT:
        return True
    # It fails until Vault lets it in, however often that is: what counts is a try after that.
    tried = container.get("lastState", {}).get("terminated", {}).get("startedAt")
    if entrance is None or tried is None:
        return False
    return _time(tried) >= entrance + timedelta(seconds=SETUP_SECONDS)


def _ends(container: Object) -> str:
    code = container.get("lastState", {}).get("terminated", {}).get("exitCode", "?")
    return f"{container['restartCount'] + 1} times, the last with {code}"


def _starts(pod: Object) -> Iterator[datetime]:
    for container in containers(pod):
        for state in ("running", "terminated"):
            if at := container.get("state", {}).get(state, {}).get("startedAt"):
                yield _time(at)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- Jobs, claims, what makes pods ----------------------------------------------------------------


def of_job(job: Object, pods: Iterable[Object] = ()) -> Obstacle | None:
    """What keeps a Job from completing; its pods tell whose log says why."""
    at = f"Job {job['metadata']['name']}"
    failed = condition(job, "Failed")
    log = _last_failed(pods)
    if failed.get("status") == "True":
        why = f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}"
        return Obstacle(at, FAILED, why, READ, log=log)
    times = job.get("status", {}).get("failed", 0)
    if times >= FAILURES and not job["status"].get("succeeded"):
        return Obstacle(at, "failing", f"{times} of its pods have failed", READ, log=log)
    return None


def _last_failed(pods: Iterable[Object]) -> tuple[str, str] | None:
    failed = [pod for pod in pods if pod["status"].get("phase") == "Failed"]
    if not failed:
        return None
    last = max(failed, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    container = held_up(last)
    return (last["metadata"]["name"], container) if container else None


def _of_claims(sight: Sight, pods: Iterable[Object]) -> Iterator[Obstacle]:
    volumes = [volume for pod in pods for volume in pod["spec"].get("volumes", [])]
    used = {one.get("persistentVolumeClaim", {}).get("claimName") for one in volumes}
    for claim in sight.of("PersistentVolumeClaim"):
        name, phase = claim["metadata"]["name"], claim["status"].get("phase", "")
        if name in used and phase != "Bound":
            warning = sight.warnings.get(claim["metadata"]["uid"], "")
            why = ". ".join(filter(None, (f"it is {phase}", warning)))
            yield Obstacle(f"volume {name}", "claim", why, STORAGE, PLACE_SECONDS)


def _of_makers(sight: Sight) -> Iterator[Obstacle]:
    """What may not make the pods that it should."""
    for one in sight.makers:
        warning = sight.warnings.get(one["metadata"]["uid"], "")
        if warning.startswith("FailedCreate") and _has_too_few(one):
            at = f"{one['kind']} {one['metadata']['name']}"
            yield Obstacle(at, "making", warning, COMPLETE, CREATING_SECONDS)


def _has_too_few(maker: Object) -> bool:
    status = maker.get("status", {})
    if maker["kind"] == "Job":
        return not any(status.get(one) for one in ("active", "succeeded", "failed"))
    return bool(status.get("replicas", 0) < maker["spec"].get("replicas", 1))
