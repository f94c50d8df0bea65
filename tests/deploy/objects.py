"""Objects as kubectl and helm tell of them, shortened to what a page could look at."""

import datetime as dt
import functools

from certs.authority import make_authority, sign
from certs.pair import certificate_pem
from deploy.facts import Facts
from deploy.place import DEFAULT

NOW = dt.datetime(2026, 11, 28, 15, 0, tzinfo=dt.UTC)
RELEASE = {
    "name": "minidata",
    "namespace": "minidata",
    "revision": "3",
    "updated": "2026-11-28 15:11:39.5 +0000 UTC",
    "status": "deployed",
    "chart": "platform-0.1.0",
    "app_version": "0.1.0",
}


def true(kind, **more):
    return {"type": kind, "status": "True", **more}


def false(kind, **more):
    return {"type": kind, "status": "False", **more}


def labels(name, component):
    return {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": "minidata",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/name": name,
    }


def node(*conditions):
    return {
        "kind": "Node",
        "metadata": {"name": "minidata-control-plane"},
        "status": {
            "conditions": list(conditions or [false("DiskPressure"), true("Ready")]),
            "nodeInfo": {"kubeletVersion": "v1.34.4"},
        },
    }


def workload(name, part, ready=1, wanted=1):
    status = {"replicas": wanted} | ({"readyReplicas": ready} if ready else {})
    return {
        "kind": "StatefulSet",
        "metadata": {"name": name, "labels": labels(part, "server")},
        "spec": {"replicas": wanted, "selector": {"matchLabels": labels(part, "server")}},
        "status": status,
    }


def container(name, state, restarts=0, *, ready=False):
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state}


RUNNING = {"running": {"startedAt": "2026-11-28T15:11:25Z"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def pod(name, part, *containers, phase="Running", conditions=(), init=()):
    told = [container(part, RUNNING, ready=True)]
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": f"uid of {name}", "labels": labels(part, "server")},
        "status": {
            "phase": phase,
            "conditions": list(conditions or [true("PodScheduled"), true("Ready")]),
            "initContainerStatuses": list(init),
            "containerStatuses": list(containers or told),
        },
    }


def job(name, *conditions, failed=0):
    return {
        "kind": "Job",
        "metadata": {"name": name, "labels": labels("vault", "setup")},
        "status": {"conditions": list(conditions), "failed": failed},
    }


def claim(name, phase="Bound"):
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"resources": {"requests": {"storage": "2Gi"}}},
        "status": {"phase": phase},
    }


def ingest(name, *conditions):
    return {
        "kind": "SalesIngest",
        "metadata": {"name": name},
        "status": {
            "conditions": list(conditions),
            "files": {"pending": 1, "running": 2, "parked": 0},
            "rows": {"loaded": 990, "rejected": 10},
            "lastSuccessTime": "2026-11-28T15:12:40Z",
        },
    }


@functools.cache
def certificate(days, *, ago=0):
    """PEM of a certificate that was issued some days ago, for some days."""
    issued = NOW - dt.timedelta(days=ago)
    authority = make_authority(["minio"], issued)
    return certificate_pem([sign(authority, "minio", ("minio",), issued, days).certificate])


def well(**other):
    """An installation that has nothing wrong, but for what is said otherwise."""
    facts = {
        "place": DEFAULT,
        "nodes": [node()],
        "release": RELEASE,
        "workloads": [workload("minio", "minio"), workload("vault", "vault")],
        "pods": [pod("minio-0", "minio"), pod("vault-0", "vault")],
        "jobs": [job("vault-setup-db43f0c6", true("Complete"))],
        "claims": [claim("data-minio-0")],
        "ingests": [ingest("sales", true("Ready", reason="AllWell", message="all is well"))],
        "certificates": {"minio-tls": certificate(90)},
        "sealed": {"vault-0": False},
    }
    return Facts(**(facts | other))
