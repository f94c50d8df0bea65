"""What there is, as the cluster tells it: nothing is judged here."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.shell import ClusterError
from deploy.door import Door
from deploy.place import Place

Object = Mapping[str, Any]
_CERTIFICATES = (
    '{{range .items}}{{$name := .metadata.name}}{{with index .data "tls.crt"}}'
    '{{$name}} {{.}}{{"\\n"}}{{end}}{{end}}'
)
"""Name and certificate of each Secret that has one: no key is read out."""
_SEAL = "vault status -address=https://localhost:8200 -ca-cert=/vault/tls/ca.crt -format=json"
_DEFINITION = "customresourcedefinitions/salesingests.minidata.io"


@dataclass(frozen=True)
class Facts:
    """The state of an installation.

    Args:
        place: Which one.
        nodes: Of the cluster.
        release: What Helm knows of it; None if there is none.
        workloads: StatefulSets and Deployments.
        pods: Of the namespace.
        jobs: Of the namespace.
        claims: PersistentVolumeClaims.
        ingests: SalesIngests of the namespace.
        certificates: Secret -> the certificates in it, as PEM.
        sealed: Pod of Vault -> whether it is sealed; None: it does not say.
        warnings: UID of an object -> what the last warning about it says, as `Reason: message`.
    """

    place: Place
    nodes: list[Object] = field(default_factory=list)
    release: Object | None = None
    workloads: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)
    jobs: list[Object] = field(default_factory=list)
    claims: list[Object] = field(default_factory=list)
    ingests: list[Object] = field(default_factory=list)
    certificates: Mapping[str, bytes] = field(default_factory=dict)
    sealed: Mapping[str, bool | None] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)


def gather(door: Door) -> Facts:
    """Ask the cluster.

    Raises:
        ClusterError: It does not answer.
    """
    nodes = door.items("nodes")
    workloads = door.items("statefulsets,deployments")
    pods = door.items("pods")
    return Facts(
        place=door.place,
        nodes=nodes,
        release=release_of(door),
        workloads=workloads,
        pods=pods,
        jobs=door.items("jobs"),
        claims=door.items("persistentvolumeclaims"),
        ingests=door.items("salesingests") if door.get(_DEFINITION) else [],
        certificates=_certificates(door),
        sealed={name: _sealed(door, name) for name in _vault_servers(pods)},
        warnings=warnings_of(door),
    )


def warnings_of(door: Door) -> dict[str, str]:
    """UID of an object -> what the last warning about it says, as `Reason: message`.

    Raises:
        ClusterError: The cluster does not answer.
    """
    events = sorted(door.items("events", "--field-selector=type=Warning"), key=_at)
    return {
        one["involvedObject"]["uid"]: f"{one['reason']}: {one.get('message', '')}" for one in events
    }


def _at(event: Object) -> str:
    """An event has its time in one of several fields."""
    fields = ("lastTimestamp", "eventTime", "firstTimestamp")
    return next((event[field] for field in fields if event.get(field)), "")


def release_of(door: Door) -> Object | None:
    """What Helm knows of the release, or None."""
    listed = json.loads(door.helm("list", "--all", "--output=json"))
    return next((one for one in listed if one["name"] == door.place.release), None)


def _certificates(door: Door) -> dict[str, bytes]:
    only = "--field-selector=type=kubernetes.io/tls"
    told = door.kubectl("get", "secrets", only, f"--output=go-template={_CERTIFICATES}")
    pairs = (line.split() for line in told.splitlines())
    return {name: base64.b64decode(text) for name, text in pairs}


def _vault_servers(pods: Iterable[Object]) -> list[str]:
    wanted = {"app.kubernetes.io/name": "vault", "app.kubernetes.io/component": "server"}
    return [
        pod["metadata"]["name"]
        for pod in pods
        if wanted.items() <= pod["metadata"].get("labels", {}).items()
    ]


def _sealed(door: Door, pod: str) -> bool | None:
    # 2 is what it ends with while it is sealed.
    command = f"{_SEAL} || test $? = 2"
    try:
        told = door.kubectl("exec", pod, "--container=vault", "--", "sh", "-c", command)
        return bool(json.loads(told)["sealed"])
    except (ClusterError, ValueError):
        return None
