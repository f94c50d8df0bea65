"""What pods and other objects tell of themselves. Pure."""

from collections.abc import Mapping
from typing import Any

from deploy.facts import Object


def condition(of: Object, kind: str) -> Mapping[str, Any]:
    """One of an object's conditions; empty if it has none of that type."""
    listed = of.get("status", {}).get("conditions") or []
    return next((one for one in listed if one["type"] == kind), {})


def containers(pod: Object) -> list[Object]:
    """What a pod tells of its containers, in the order of their starts."""
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def restarts(pod: Object) -> int:
    """How often the containers of a pod were started again."""
    return sum(one.get("restartCount", 0) for one in containers(pod))


def held_up(pod: Object) -> str | None:
    """The container that keeps a pod from being ready, if one does."""
    return next((one["name"] for one in containers(pod) if _why_held_up(one)), None)


def trouble(pod: Object) -> str:
    """Why a pod is not ready, in the cluster's own words; empty if it is, or has ended well."""
    if pod["status"].get("phase") == "Succeeded":
        return ""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message", "it is not scheduled"))
    for container in containers(pod):
        if why := _why_held_up(container):
            return f"{container['name']}: {why}"
    ready = condition(pod, "Ready").get("status") == "True"
    return "" if ready else f"{pod['metadata']['name']} is not ready"


def _why_held_up(container: Object) -> str:
    state = container.get("state", {})
    if ended := state.get("terminated"):
        code = ended.get("exitCode", 0)
        return f"ended with {code}" if code else ""
    waiting = state.get("waiting", {})
    # Those are no trouble of the container's own: another one comes first.
    if waiting.get("reason", "") in {"", "PodInitializing", "ContainerCreating"}:
        return ""
    return ": ".join(filter(None, (waiting["reason"], waiting.get("message", ""))))
