"""A release as it is looked at while Helm waits: each object with its owner and its revision."""

from deploy.sight import Sight
from tests.deploy.objects import RUNNING, container, false, labels, true

STARTED = "2026-11-28T15:00:10Z"
UNREADY = (true("PodScheduled"), true("PodReadyToStartContainers"), false("Ready"))
CREATING = (true("PodScheduled"), false("PodReadyToStartContainers"), false("Ready"))


def stateful(name, *, ready=0, updated=1, revision="new", seen=2, policy="RollingUpdate"):
    return {
        "kind": "StatefulSet",
        "metadata": _metadata(name, name, "server") | {"generation": 2},
        "spec": {"replicas": 1, "updateStrategy": {"type": policy}},
        "status": {
            "observedGeneration": seen,
            "replicas": 1,
            "readyReplicas": ready,
            "updatedReplicas": updated,
            "updateRevision": revision,
        },
    }


def deployment(name, *, ready=0, revision="2"):
    return {
        "kind": "Deployment",
        "metadata": _metadata(name, name, "operator", revision=revision) | {"generation": 1},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": 1},
    }


def replica_set(name, owner, *, revision="2", replicas=1):
    metadata = _metadata(name, owner, "operator", owner=owner, revision=revision)
    spec, status = {"replicas": 1}, {"replicas": replicas}
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": spec, "status": status}


def job(name, *conditions, part="minio", component="bootstrap", helm=True, **status):
    metadata = _metadata(name, part, component)
    if not helm:
        del metadata["labels"]["app.kubernetes.io/managed-by"]
    return {"kind": "Job", "metadata": metadata, "status": {"conditions": conditions, **status}}


def pod(name, owner, *containers, conditions=UNREADY, phase="Running", **more):
    """One of a revision (`revision`), of a part of the platform (`part`, `component`)."""
    metadata = _metadata(name, more.get("part", owner), more.get("component", "server"), owner)
    metadata["labels"]["controller-revision-hash"] = more.get("revision", "new")
    metadata["creationTimestamp"] = more.get("created", STARTED)
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"volumes": more.get("volumes", [])},
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": list(containers or [container("main", RUNNING)]),
        },
    }


def claim(name, phase):
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "uid": f"uid of {name}"},
        "status": {"phase": phase},
    }


def waiting(name, reason, message="no such thing", restarts=0, tried=STARTED):
    """A container that waits, and was tried last at some time."""
    state = {"waiting": {"reason": reason, "message": message}}
    ended = {"terminated": {"exitCode": 2, "startedAt": tried}} if restarts else {}
    return container(name, state, restarts) | {"lastState": ended}


def vault(*, ready_since=None, setup_since=None, complete=False):
    """Vault's server and its setup, each as far as it has come."""
    told = true("Ready", lastTransitionTime=ready_since) if ready_since else false("Ready")
    running = {"running": {"startedAt": setup_since}} if setup_since else {"waiting": {}}
    setup = {"part": "vault", "component": "setup"}
    return [
        stateful("vault", ready=int(bool(ready_since))),
        pod("vault-0", "vault", conditions=[told]),
        job("setup", *([true("Complete")] if complete else []), **setup),
        *([] if complete else [pod("setup-a", "setup", container("setup", running), **setup)]),
    ]


def sight(*objects, warnings=None):
    found = {}
    for one in objects:
        found.setdefault(one["kind"], []).append(one)
    return Sight(
        "minidata", found, {f"uid of {name}": text for name, text in (warnings or {}).items()}
    )


def _metadata(name, part, component, owner=None, revision=None):
    owners = [{"name": owner, "uid": f"uid of {owner}"}] if owner else []
    annotations = {"deployment.kubernetes.io/revision": revision} if revision else {}
    return {
        "name": name,
        "uid": f"uid of {name}",
        "labels": labels(part, component),
        "ownerReferences": owners,
        "annotations": annotations,
    }
