"""What a SalesIngest asks for: the spec of the custom resource, and the whole of its status.

The CRD is generated from these models (`sales_api.crd`); their docstrings are what
`kubectl explain` prints.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from sales_api.model import Model
from sales_api.report import Count, Rows
from sales_api.request import explain
from sales_api.schedule import checked_schedule, checked_zone
from sales_api.v1alpha1 import Processing, Source, Text

_WEEK = 7 * 24 * 3600

Seconds = Annotated[int, Field(ge=0, le=_WEEK)]
Email = Annotated[
    str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
]
Schedule = Annotated[str, StringConstraints(max_length=100), AfterValidator(checked_schedule)]
Zone = Annotated[
    str,
    StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"),
    AfterValidator(checked_zone),
]
LabelKey = Annotated[
    str,
    StringConstraints(
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
    ),
]
LabelValue = Annotated[
    str,
    StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"),
]
LabelMap = Annotated[dict[LabelKey, LabelValue], Field(max_length=32)]
AnnotationMap = Annotated[dict[LabelKey, Text], Field(max_length=32)]
_UNITS = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{unit: Decimal(1000**n) for n, unit in enumerate(("k", "M", "G", "T"), 1)},
    **{unit: Decimal(1024**n) for n, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}
Quantity = Annotated[
    str,
    StringConstraints(
        max_length=32, pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
    ),
]


class SpecError(ValueError):
    """A spec that makes no sense; its text names fields and rules, and no values."""


class Trigger(Model):
    """What makes runs begin."""

    events: bool = True
    """Be told of new objects by the object store; without it only the resync finds them."""
    schedule: Schedule = "0 2 * * *"
    """Cron line of the run that works even while the operator is down; empty: none."""
    time_zone: Zone = "Etc/UTC"
    """IANA name of the zone that the schedule is meant in."""


class Batch(Model):
    """How objects are gathered into runs."""

    max_files: Annotated[int, Field(ge=1, le=500)] = 50
    """How many objects one run may have."""
    max_bytes: Annotated[int, Field(ge=1, le=2**50)] = 256 * 1024 * 1024
    """How many bytes the objects of one run may have; a larger object has a run of its own."""
    max_wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 1
    """Seconds between launches, unless a full batch is there; a quiet ingest launches at once."""


class Retry(Model):
    """How often, and how soon, what failed is tried again."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """After so many failures an object is parked until it, the spec or the annotation
    minidata.io/retry changes."""
    backoff_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """Seconds before the second attempt; doubled before each further one."""


class Toleration(Model):
    """A taint that the pods of runs put up with, as Kubernetes writes it."""

    key: LabelKey | None = None
    """Key of the taint; left out: every taint, with the operator `Exists`."""
    operator: Literal["Exists", "Equal"] | None = None
    """`Exists`: whatever the value; `Equal`, or left out: this value."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; left out: every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31)] | None = None
    """How many seconds a `NoExecute` taint is put up with; left out: for good."""

    @model_validator(mode="after")
    def _is_one_of_kubernetes(self) -> Self:
        exists = self.operator == "Exists"
        if (exists and self.value) or not (exists or self.key):
            raise ValueError("Exists goes without a value, and no key goes with Exists alone")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("tolerationSeconds goes with the effect NoExecute")
        return self


class ResourceList(Model):
    """An amount of CPU and of memory."""

    cpu: Quantity | None = None
    """Cores, such as "2" or "250m"."""
    memory: Quantity | None = None
    """Bytes, such as "512Mi"."""

    def amounts(self) -> dict[str, Decimal]:
        """What is named here, in cores and bytes."""
        return {name: _amount(text) for name, text in self if text is not None}


def _amount(quantity: str) -> Decimal:
    number, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", quantity).groups()  # type: ignore[union-attr]
    return Decimal(number) * _UNITS[unit]


class Resources(Model):
    """What the container of a run asks for, and what it may not exceed."""

    requests: ResourceList = ResourceList(cpu="250m", memory="384Mi")
    """What a node must have free for a run."""
    limits: ResourceList = ResourceList(memory="768Mi")
    """What a run may not exceed; not less than it asks for."""

    @model_validator(mode="after")
    def _asks_for_no_more_than_the_limit(self) -> Self:
        asked, limits = self.requests.amounts(), self.limits.amounts()
        if any(asked[name] > limits[name] for name in asked.keys() & limits.keys()):
            raise ValueError("requests must not exceed limits")
        return self


class JobOptions(Model):
    """How the Jobs of runs are made."""

    resources: Resources = Resources()
    """CPU and memory of a run."""
    active_deadline_seconds: Annotated[int, Field(ge=60, le=_WEEK)] = 3600
    """A run that takes longer is ended, and counts as a temporary failure."""
    ttl_seconds_after_succeeded: Seconds = 3600
    """How long the Job of a run that succeeded is kept."""
    ttl_seconds_after_failed: Seconds = _WEEK
    """How long the Job of a run that failed is kept."""
    node_selector: LabelMap = {}
    """Labels of the nodes that runs may be on; none: any node."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Taints of nodes that runs put up with."""
    priority_class_name: Text | None = None
    """PriorityClass of the pods; left out: that of the cluster."""
    labels: LabelMap = {}
    """More labels for Jobs and their pods."""
    annotations: AnnotationMap = {}
    """More annotations for Jobs and their pods."""


class MailOn(StrEnum):
    """What a mail is sent about."""

    FAILED = "Failed"
    REJECTED = "Rejected"
    RECOVERED = "Recovered"
    SUCCEEDED = "Succeeded"


class MailTo(Model):
    """Who hears of what by mail."""

    to: Annotated[list[Email], Field(min_length=1, max_length=20)]
    """Addresses of the readers."""
    on: Annotated[list[MailOn], Field(max_length=4)] = [MailOn.FAILED, MailOn.RECOVERED]
    """What they want to hear of: runs that `Failed`, rows that were `Rejected`, the first run that
    `Succeeded` after a failure (`Recovered`), or each that did."""


class Notify(Model):
    """Whom to tell."""

    email: MailTo | None = None
    """By mail; left out: nobody."""


class Freshness(Model):
    """How old the newest load may be."""

    max_age_hours: Annotated[int, Field(ge=1, le=8760)] | None = None
    """Hours since the last success after which the ingest counts as stale; left out: never."""


class SalesIngestSpec(Processing):
    """One source of sales files, and what is to become of them."""

    suspend: bool = False
    """No new runs; those that run finish."""
    source: Source
    """Where objects are found, and where they go."""
    trigger: Trigger = Trigger()
    """What makes runs begin."""
    batch: Batch = Batch()
    """How objects are gathered into runs."""
    parallelism: Annotated[int, Field(ge=1, le=50)] = 2
    """How many runs may work at once."""
    retry: Retry = Retry()
    """How often, and how soon, what failed is tried again."""
    job: JobOptions = JobOptions()
    """How the Jobs of runs are made."""
    notify: Notify = Notify()
    """Whom to tell."""
    freshness: Freshness = Freshness()
    """How old the newest load may be."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One statement about an ingest, as metav1.Condition writes it."""

    type: Annotated[str, StringConstraints(max_length=64)]
    """What it is about: Ready, Reconciling, Stalled, SourceReachable, EventsReady, ScheduleReady,
    LastRunSucceeded or Fresh."""
    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""
    observed_generation: Count = 0
    """Generation of the spec that it is about."""
    last_transition_time: AwareDatetime
    """When `status` last changed."""
    reason: Annotated[
        str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z]*$")
    ]
    """One word for why, made to be matched."""
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Why, and what to do about it, made to be read."""


class FileCounts(Model):
    """Objects: the first two as they are now, the others since the ingest was made."""

    pending: Count = 0
    """Waiting now."""
    running: Count = 0
    """In a run now."""
    loaded: Count = 0
    """Loaded so far."""
    quarantined: Count = 0
    """Refused so far; they lie in quarantine."""
    failed: Count = 0
    """Parked now: not tried again until something changes."""


class RunSummary(Model):
    """One run, in short."""

    job: Text
    """Name of its Job."""
    attempt: Count = 1
    """Which attempt at its objects it was, from 1."""
    started_at: AwareDatetime | None = None
    """When it began to work."""
    finished_at: AwareDatetime | None = None
    """When it ended."""
    outcome: Text
    """How it ended; also the reason of the condition LastRunSucceeded."""
    rows: Rows = Rows()
    """Rows of this run by fate."""


class SalesIngestStatus(Model):
    """What is so, as far as the operator has seen."""

    observed_generation: Count = 0
    """Generation of the spec that the operator saw last."""
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    """What is so, statement by statement; Ready sums them up."""
    files: FileCounts = FileCounts()
    """Objects by where they stand."""
    rows: Rows = Rows()
    """Rows by fate, over all runs since the ingest was made."""
    last_run: RunSummary | None = None
    """The run that ended last."""
    last_success_time: AwareDatetime | None = None
    """When a run last succeeded."""
    next_schedule_time: AwareDatetime | None = None
    """When the schedule fires next."""
    recent_runs: Annotated[list[RunSummary], Field(max_length=5)] = []
    """The last few runs that ended, newest first; the ledger has all of them."""
    active_jobs: Annotated[list[Text], Field(max_length=64)] = []
    """Names of the Jobs of runs that have not ended."""
    counted: Annotated[list[Text], Field(max_length=1024)] = []
    """Which finished Jobs the counters hold already: written together with them, so that a killed
    operator counts nothing twice."""


def parse_spec(raw: Mapping[str, Any]) -> SalesIngestSpec:
    """The spec that the API server holds.

    Fields that are not known here are passed over, at any depth: the CRD may be newer than this
    program, and has then written its defaults into every spec. All others must be right.

    Raises:
        SpecError: It makes no sense.
    """
    try:
        return SalesIngestSpec.model_validate_json(
            _json(raw), strict=True, extra="ignore", by_alias=True, by_name=False
        )
    except ValidationError as error:
        raise SpecError(explain(error)) from None


def parse_status(raw: Mapping[str, Any]) -> SalesIngestStatus:
    """The status that the API server holds; an empty one where it cannot be understood."""
    try:
        return SalesIngestStatus.model_validate_json(_json(raw), extra="ignore")
    except ValidationError:
        return SalesIngestStatus()


def _json(raw: Mapping[str, Any]) -> str:
    return json.dumps(raw, default=dict)
