"""The manifests of runs: a Job for each batch, and the CronJob that sweeps. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sales_api import names
from sales_api.ingest import JobOptions, ResourceList
from sales_api.report import ExitCode
from sales_api.request import ObjectRef, RunRequest
from sales_operator import scratch, vault, web_identity
from sales_operator.observed import Ingest, Launch
from sales_operator.settings import ConfigVolume, PipelineJobs

Manifest = dict[str, Any]
Component = Literal["run", "sweep"]
"""What a Job does; also the pipeline's command for it."""

CONTAINER: Final = "pipeline"
"""The container that does the work, and whose exit code and report count."""
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
SWEEP: Final = "sweep"
"""The component of the CronJob and of every Job made from it, by the clock or by hand."""

_MAX_LABEL: Final = 63
_MAX_JOB_NAME: Final = 57
"""A pod's name adds a hyphen and five characters to its Job's, and should fit a label."""
_MAX_CRON_JOB_NAME: Final = 52
"""The Jobs of a CronJob add a hyphen and the minute to its name."""

_GRACE_SECONDS: Final = 30
_MISSED_START_SECONDS: Final = 3600
_LEAST_TTL_SECONDS: Final = 24 * 3600
_KEPT_SWEEPS: Final = 3
_JOB_NAME: Final = "JOB_NAME"


def request(
    ingest: Ingest, run_name: str, objects: Sequence[ObjectRef] = (), attempt: int = 1
) -> RunRequest:
    """What a run is asked to do, as the spec is now.

    Args:
        ingest: Whose spec is frozen.
        run_name: What the ledger knows the run by.
        objects: What to load; none for a sweep.
        attempt: How often the objects have been launched, this time included.
    """
    spec = ingest.spec
    return RunRequest(
        ingest=str(ingest.key),
        run=run_name,
        attempt=attempt,
        source=spec.source,
        format=spec.format,
        contract=spec.contract,
        quality=spec.quality,
        privacy=spec.privacy,
        objects=list(objects),
    )


def job(ingest: Ingest, launch: Launch, pipeline: PipelineJobs) -> Manifest:
    """The Job of one batch. The same launch gives the same name, so it cannot exist twice.

    Raises:
        RequestError: The batch is too large for a Job to carry its request.
    """
    name = job_name(ingest, launch)
    asked = request(ingest, name, launch.objects, launch.attempt)
    work = _Work(
        "run", [_variable(*item) for item in asked.to_env().items()], scratch.needed(launch.objects)
    )
    template = _job_template(ingest, work, pipeline)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _identity(ingest, name) | template["metadata"],
        "spec": template["spec"],
    }


def cron_job(ingest: Ingest, pipeline: PipelineJobs) -> Manifest | None:
    """The CronJob that sweeps; None where the spec has no schedule.

    It works without the operator, and `kubectl create job --from` makes a sweep of it by hand.

    Raises:
        RequestError: The spec is too large for a Job to carry its request.
    """
    trigger = ingest.spec.trigger
    if not trigger.schedule:
        return None
    # How much lies under the prefix is not known yet.
    template = _job_template(ingest, _Work(SWEEP, _sweep_request(ingest), scratch.MOST), pipeline)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _identity(ingest, cron_job_name(ingest)) | template["metadata"],
        "spec": {
            "schedule": trigger.schedule,
            "timeZone": trigger.time_zone,
            "concurrencyPolicy": "Forbid",
            # Without it, a CronJob that has missed 100 starts never starts again.
            "startingDeadlineSeconds": _MISSED_START_SECONDS,
            "suspend": ingest.spec.suspend,
            "successfulJobsHistoryLimit": _KEPT_SWEEPS,
            "failedJobsHistoryLimit": _KEPT_SWEEPS,
            "jobTemplate": template,
        },
    }


# --- names and labels ---------------------------------------------------------------------------


def job_name(ingest: Ingest, launch: Launch) -> str:
    """A DNS label that tells a launch from every other: by ingest, contents, attempt and epoch."""
    objects = sorted(
        (item.key, item.identity, item.modified_at.isoformat()) for item in launch.objects
    )
    epoch = ingest.epoch
    digest = _digest(ingest.uid, objects, launch.attempt, epoch.generation, epoch.retry)[:12]
    return f"{_dns_label(ingest.key.name, _MAX_JOB_NAME - 13)}-{digest}"


def cron_job_name(ingest: Ingest) -> str:
    """The ingest's own name where it fits; else cut, and told apart by a hash."""
    name = ingest.key.name
    if name == _dns_label(name, _MAX_CRON_JOB_NAME):
        return name
    return f"{_dns_label(name, _MAX_CRON_JOB_NAME - 9)}-{_digest(name)[:8]}"


def _dns_label(name: str, limit: int) -> str:
    # Names of ingests may hold dots, but a pod's host name is a single label.
    return name.replace(".", "-")[:limit]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _identity(ingest: Ingest, name: str) -> Manifest:
    return {
        "name": name,
        "namespace": ingest.key.namespace,
        "ownerReferences": [
            {
                "apiVersion": f"{names.GROUP}/{names.VERSION}",
                "kind": names.KIND,
                "name": ingest.key.name,
                "uid": ingest.uid,
                "controller": True,
                # True is for those who may update the finalizers of ingests, where the API server
                # is strict about it, and would only make a deletion wait for the pods.
                "blockOwnerDeletion": False,
            }
        ],
    }


def _labels(ingest: Ingest, component: Component) -> dict[str, str]:
    ours = {
        "app.kubernetes.io/name": names.PIPELINE,
        LABEL_COMPONENT: component,
        "app.kubernetes.io/part-of": "minidata",
        "app.kubernetes.io/managed-by": names.MANAGED_BY,
        names.LABEL_INGEST: ingest.key.name[:_MAX_LABEL].rstrip("-."),
        names.LABEL_INGEST_UID: ingest.uid,
    }
    return vault.permitted(ingest.spec.job.labels) | ours


def _annotations(ingest: Ingest) -> dict[str, str]:
    ours = {
        names.ANNOTATION_GENERATION: str(ingest.epoch.generation),
        names.ANNOTATION_RETRY: ingest.epoch.retry,
    }
    return vault.permitted(ingest.spec.job.annotations) | ours


# --- the environment ----------------------------------------------------------------------------


def quote(text: str) -> str:
    """A text as a variable of a manifest, where Kubernetes would put others for `$(NAME)`."""
    return text.replace("$", "$$")


def unquote(value: str) -> str:
    """The text that was quoted."""
    return value.replace("$$", "$")


def _variable(name: str, text: str) -> Manifest:
    return {"name": name, "value": quote(text)}


def _sweep_request(ingest: Ingest) -> list[Manifest]:
    """A request without objects, in which each Job puts its own name: so the ledger knows it."""
    own_name = f"$({_JOB_NAME})"
    frozen = _variable(*request(ingest, own_name).to_env().popitem())
    # Quotation marks cannot stand like this within a text of the spec: only the run is replaced.
    frozen["value"] = frozen["value"].replace(f'"run":"{quote(own_name)}"', f'"run":"{own_name}"')
    label = "metadata.labels['batch.kubernetes.io/job-name']"
    return [{"name": _JOB_NAME, "valueFrom": {"fieldRef": {"fieldPath": label}}}, frozen]


# --- Job and pod --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    """In what Jobs of one ingest differ."""

    component: Component
    request: list[Manifest]
    """The variables that carry it."""
    scratch_bytes: int


def _job_template(ingest: Ingest, work: _Work, pipeline: PipelineJobs) -> Manifest:
    options = ingest.spec.job
    about = {"labels": _labels(ingest, work.component), "annotations": _annotations(ingest)}
    return {
        "metadata": about,
        "spec": {
            "completions": 1,
            "parallelism": 1,
            # One failure ends the Job: it is the plan that tries again, with a backoff and a
            # memory that outlive the Job.
            "backoffLimit": 0,
            "podFailurePolicy": {"rules": _failure_rules()},
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": options.active_deadline_seconds,
            "ttlSecondsAfterFinished": _ttl_seconds(options),
            "template": {
                "metadata": vault.metadata(
                    about, pipeline.vault, has_keys=pipeline.web_identity is None
                ),
                "spec": _pod(options, work, pipeline),
            },
        },
    }


def _failure_rules() -> list[Manifest]:
    """What a failed pod means; the first rule that fits decides.

    A pod that was evicted, preempted or drained is replaced without counting as a failure, unless
    it had come to a final result already.
    """
    codes = [int(ExitCode.DATA), int(ExitCode.CONFIGURATION)]
    # By name: the codes of a container that somebody injects mean something else.
    final = {"containerName": CONTAINER, "operator": "In", "values": codes}
    return [
        {"action": "FailJob", "onExitCodes": final},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def _ttl_seconds(options: JobOptions) -> int:
    """How long a finished Job stays if the operator does not delete it.

    The operator deletes each as the spec says, once it is counted and no memory of a retry. This
    is for Jobs that nobody looks after any more; were it short, a failure would be forgotten and
    its objects tried again at once, for ever.
    """
    wanted = max(options.ttl_seconds_after_succeeded, options.ttl_seconds_after_failed)
    return max(wanted, _LEAST_TTL_SECONDS)


def _pod(options: JobOptions, work: _Work, pipeline: PipelineJobs) -> Manifest:
    chosen = {
        "imagePullSecrets": [{"name": name} for name in pipeline.image_pull_secrets],
        "nodeSelector": dict(options.node_selector),
        "tolerations": [
            t.model_dump(by_alias=True, exclude_none=True) for t in options.tolerations
        ],
        "priorityClassName": options.priority_class_name,
    }
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "serviceAccountName": pipeline.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **_without_empty(chosen),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": pipeline.run_as_user,
            "runAsGroup": pipeline.run_as_group,
            "fsGroup": pipeline.run_as_group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_without_empty({"initContainers": _before(options, pipeline)}),
        "containers": [_container(options, work, pipeline)],
        "volumes": [
            scratch.volume(work.scratch_bytes),
            *vault.volumes(pipeline.vault),
            *web_identity.volumes(pipeline.web_identity),
            *map(_volume, _numbered(pipeline.volumes)),
        ],
    }


def _before(options: JobOptions, pipeline: PipelineJobs) -> list[Manifest]:
    """In front of the agent, which the injector puts last: what waits until Vault can be reached.

    The rules of NetworkPolicies may let a pod's packets pass only a moment after it started. The
    pipeline waits for that by itself, but the agent ends at the first refusal, and so would that of
    the next pod.
    """
    if pipeline.vault is None or pipeline.vault.mode != "agent":
        return []
    variables = {"env": _surroundings(options, pipeline)}
    return [_basics("reach", "reach", options, pipeline) | variables]


def _container(options: JobOptions, work: _Work, pipeline: PipelineJobs) -> Manifest:
    return _basics(CONTAINER, work.component, options, pipeline) | {
        "env": [*_surroundings(options, pipeline), *work.request],
        "terminationMessagePath": _TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of this pod alone
            *vault.mounts(pipeline.vault),
            *web_identity.mounts(pipeline.web_identity),
            *map(_mount, _numbered(pipeline.volumes)),
        ],
    }


def _basics(name: str, command: str, options: JobOptions, pipeline: PipelineJobs) -> Manifest:
    return {
        "name": name,
        "image": pipeline.image,
        "imagePullPolicy": pipeline.image_pull_policy,
        "args": [command],
        **_without_empty({"resources": _resources(options)}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


_TERMINATION_LOG: Final = "/dev/termination-log"
_REACH_SECONDS: Final = "30"
"""More than any network takes to let a new pod's packets pass; less than a server's restart."""


def _surroundings(options: JobOptions, pipeline: PipelineJobs) -> list[Manifest]:
    credentials = vault.environment(pipeline.vault, options.active_deadline_seconds)
    credentials |= web_identity.environment(pipeline.web_identity)
    credentials |= {"SALES_REACH_SECONDS": _REACH_SECONDS}
    ours = {"SALES_TERMINATION_LOG": _TERMINATION_LOG, "TMPDIR": "/tmp"}  # noqa: S108 - as above
    return [_variable(*item) for item in (credentials | pipeline.environment | ours).items()]


def _resources(options: JobOptions) -> Manifest:
    def amounts(of: ResourceList) -> Manifest:
        return of.model_dump(exclude_none=True)

    given = options.resources
    return _without_empty({"requests": amounts(given.requests), "limits": amounts(given.limits)})


def _without_empty(fields: Mapping[str, Any]) -> Manifest:
    return {name: value for name, value in fields.items() if value}


# --- volumes ------------------------------------------------------------------------------------


def _numbered(volumes: Sequence[ConfigVolume]) -> list[tuple[str, ConfigVolume]]:
    """Each with a name for it: that of a Secret may be longer than a volume's."""
    return [(f"config-{number}", volume) for number, volume in enumerate(volumes)]


def _volume(named: tuple[str, ConfigVolume]) -> Manifest:
    name, volume = named
    if volume.kind == "Secret":
        return {"name": name, "secret": {"secretName": volume.name, "defaultMode": 0o440}}
    return {"name": name, "configMap": {"name": volume.name, "defaultMode": 0o440}}


def _mount(named: tuple[str, ConfigVolume]) -> Manifest:
    name, volume = named
    return {"name": name, "mountPath": volume.mount_path, "readOnly": True}
