"""What a Job and its pods tell of a run. Pure, and calm about whatever it finds."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from sales_api import names
from sales_api.report import ExitCode, RunReport
from sales_api.request import ObjectRef
from sales_operator.jobs import CONTAINER, LABEL_COMPONENT, SWEEP, unquote
from sales_operator.observed import Epoch, Outcome, Run, RunState

Document = Mapping[str, Any]

_SLOW_START = timedelta(seconds=20)
"""Image, volumes and scheduling usually take less."""
_MAX_TROUBLE: Final = 200

_STATES: Final = {"Complete": RunState.SUCCEEDED, "Failed": RunState.FAILED}
_OUTCOMES: Final[Mapping[int | None, Outcome]] = {
    ExitCode.DATA: Outcome.QUARANTINED,
    ExitCode.TEMPORARY: Outcome.TEMPORARY,
    ExitCode.CONFIGURATION: Outcome.CONFIGURATION,
}
_EXIT_CODE = re.compile(r"\bexit code (\d+)\b")


def run_of(job: Document, pods: Sequence[Document] = ()) -> Run:
    """The run that a Job is.

    Args:
        job: As the API server has it.
        pods: Its pods, where somebody has looked (`needs_pods`); without them there is no report,
            and less is known of an end.
    """
    metadata, status = job["metadata"], job.get("status") or {}
    final, end = _final_condition(job), _end_of(pods)
    state = _STATES[final["type"]] if final else RunState.LIVE
    frozen = _frozen_request(job)
    report = end.report if final and end else None
    return Run(
        name=metadata["name"],
        uid=metadata["uid"],
        state=state,
        epoch=_epoch_of(metadata),
        attempt=frozen.attempt,
        created_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        objects=tuple(frozen.objects),
        is_sweep=metadata.get("labels", {}).get(LABEL_COMPONENT) == SWEEP,
        started_at=_moment(status.get("startTime")),
        finished_at=_moment(final["lastTransitionTime"]) if final else None,
        outcome=_outcome(final, end) if final else None,
        report=report,
        trouble="" if report else _trouble(job, pods, final, end),
    )


def is_live(job: Document) -> bool:
    """Whether a Job may still do something; also while it is suspended or being deleted."""
    return _final_condition(job) is None


def needs_pods(job: Document, now: datetime) -> bool:
    """Whether its pods have something to tell: of its end, or why it does not get going."""
    if not is_live(job):
        return True
    begun = (job.get("status") or {}).get("startTime")
    if not begun or _is_suspended(job) or is_going(job):
        return False
    return now - datetime.fromisoformat(begun) > _SLOW_START


def is_going(job: Document) -> bool:
    """Whether a pod of it is at work."""
    return bool((job.get("status") or {}).get("ready"))


# --- what the Job says --------------------------------------------------------------------------


def _final_condition(job: Document) -> Document | None:
    """Complete or Failed. SuccessCriteriaMet and FailureTarget only announce it: pods still end."""
    conditions = _conditions(job.get("status") or {})
    held = (c for c in conditions if c["type"] in _STATES and c["status"] == "True")
    return next(held, None)


def _conditions(status: Document) -> list[Document]:
    return list(status.get("conditions") or [])


def _is_suspended(job: Document) -> bool:
    return bool(job["spec"].get("suspend"))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _epoch_of(metadata: Document) -> Epoch:
    annotations = metadata.get("annotations") or {}
    generation = annotations.get(names.ANNOTATION_GENERATION, "")
    retry = annotations.get(names.ANNOTATION_RETRY, "")
    return Epoch(int(generation) if generation.isdecimal() else 0, retry)


class _Frozen(BaseModel):
    """Of a request, what the plan remembers. The rest may be of another version than ours."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    attempt: int = 1
    objects: list[ObjectRef] = []


def _frozen_request(job: Document) -> _Frozen:
    for container in _containers(job["spec"]["template"]["spec"]):
        for variable in container.get("env") or []:
            if variable["name"] == names.REQUEST_ENV:
                return _parse_request(unquote(variable.get("value", "")))
    return _Frozen()


def _parse_request(text: str) -> _Frozen:
    try:
        return _Frozen.model_validate_json(text)
    except ValidationError:
        return _Frozen()


def _containers(pod_spec: Document) -> Iterator[Document]:
    return (c for c in pod_spec.get("containers") or [] if c["name"] == CONTAINER)


# --- how it ended -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _End:
    """The last end of a container that did the work."""

    pod: Document
    terminated: Document

    @property
    def at(self) -> str:
        # Times as Kubernetes writes them sort as text.
        return str(self.terminated.get("finishedAt") or "")

    @property
    def is_out_of_memory(self) -> bool:
        return bool(self.terminated.get("reason") == "OOMKilled")

    @property
    def exit_code(self) -> int:
        return int(self.terminated["exitCode"])

    @property
    def report(self) -> RunReport | None:
        try:
            return RunReport.parse(self.terminated.get("message") or "")
        except ValidationError:
            return None


def _end_of(pods: Iterable[Document]) -> _End | None:
    ends = (
        _End(pod, status["state"]["terminated"])
        for pod in pods
        for status in _statuses(pod, "containerStatuses")
        if status["name"] == CONTAINER and "terminated" in status["state"]
    )
    return max(ends, key=lambda end: end.at, default=None)


def _statuses(pod: Document, kind: str) -> list[Document]:
    return list(pod.get("status", {}).get(kind) or [])


def _outcome(final: Document, end: _End | None) -> Outcome:
    if final["type"] == "Complete":
        return Outcome.SUCCEEDED
    if final.get("reason") == "DeadlineExceeded":
        return Outcome.DEADLINE
    if end and end.is_out_of_memory:
        return Outcome.OUT_OF_MEMORY
    code = end.exit_code if end else _told_exit_code(final)
    return _OUTCOMES.get(code, Outcome.CRASHED)


def _told_exit_code(final: Document) -> int | None:
    """The exit code that a condition tells, long after the pod is gone."""
    found = _EXIT_CODE.search(final.get("message") or "")
    return int(found[1]) if found else None


# --- what is wrong with it ----------------------------------------------------------------------


def _trouble(
    job: Document, pods: Sequence[Document], final: Document | None, end: _End | None
) -> str:
    """What a human would want to know, in one line without values."""
    if final is None:
        return _line(_delay(job, pods))
    if final["type"] == "Complete":
        return ""
    return _line(_death(pods, final, end))


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_TROUBLE else text[: _MAX_TROUBLE - 3] + "..."


def _delay(job: Document, pods: Iterable[Document]) -> str:
    """Why a live run does not get going."""
    if _is_suspended(job):
        return "suspended: waits for its queue"
    if _has_no_pod(job):
        return (
            "NoPod: no pod can be made for the Job; its events say why (service account, quota, "
            "Pod Security)"
        )
    return next(filter(None, map(_delay_of, pods)), "")


def _has_no_pod(job: Document) -> bool:
    """Whether the Job controller tried and failed: it writes startTime together with the pods."""
    status = job.get("status") or {}
    if "startTime" not in status or any(c["status"] == "True" for c in _conditions(status)):
        return False
    counts = ("active", "terminating", "succeeded", "failed")
    uncounted = (status.get("uncountedTerminatedPods") or {}).values()
    return not any(uncounted) and not any(status.get(count) for count in counts)


def _delay_of(pod: Document) -> str:
    for condition in _statuses(pod, "conditions"):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'Unscheduled')}: {condition.get('message', '')}"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for status in _statuses(pod, kind):
            if waiting := status["state"].get("waiting"):
                return _waiting(waiting, status)
    return ""


def _waiting(waiting: Document, status: Document) -> str:
    reason = waiting.get("reason") or "Waiting"
    if "Image" in reason:
        # Not what the registry said: it may quote addresses that hold a token.
        return f"{reason}: the image {status.get('image')} cannot be pulled"
    if reason == "ContainerCreating":
        return f"{reason}: waits for an image, a Secret, a ConfigMap or the network"
    return f"{reason}: {waiting['message']}" if waiting.get("message") else reason


def _death(pods: Iterable[Document], final: Document, end: _End | None) -> str:
    """Why a run ended that left no report."""
    job_says = f"{final.get('reason')}: {final.get('message')}"
    if final.get("reason") == "DeadlineExceeded":
        return job_says
    if end:
        return _death_in(end)
    return next(filter(None, map(_death_before, pods)), job_says)


def _death_in(end: _End) -> str:
    status = end.pod["status"]
    if status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}"
    if end.is_out_of_memory:
        return f"OOMKilled: needs more than its memory limit{_memory_limit(end.pod)}"
    return f"exit code {end.exit_code} and no report"


def _memory_limit(pod: Document) -> str:
    limits = (c.get("resources", {}).get("limits", {}) for c in _containers(pod.get("spec", {})))
    return "".join(f" of {limit['memory']}" for limit in limits if "memory" in limit)


def _death_before(pod: Document) -> str:
    """Why a pod ended before its work began: evicted early, or a container that went before it."""
    if reason := pod["status"].get("reason"):
        return f"{reason}: {pod['status'].get('message', '')}"
    for status in _statuses(pod, "initContainerStatuses"):
        if code := status["state"].get("terminated", {}).get("exitCode"):
            return f"the container {status['name']} ended before the run began, exit code {code}"
    return ""
