"""What a SalesIngest asks for: the spec of the custom resource, and the whole of its status.

The CRD is generated from these models (`sales_api.crd`); their docstrings are what
`kubectl explain` prints.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from sales_api.model import Model
from sales_api.report import Count, Rows
from sales_api.v1alpha1 import Processing, Source, Text

Seconds = Annotated[int, Field(ge=0, le=7 * 24 * 3600)]
Email = Annotated[
    str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
]


class Trigger(Model):
    """What makes runs begin."""

    events: bool = True
    """Be told of new objects by the object store; without it only the resync finds them."""
    schedule: Annotated[str, StringConstraints(max_length=100)] = "0 2 * * *"
    """Cron line of the run that works even while the operator is down; empty: none."""
    time_zone: Annotated[str, StringConstraints(max_length=64)] = "Etc/UTC"
    """IANA name of the zone that the schedule is meant in."""


class Batch(Model):
    """How objects are gathered into runs."""

    max_files: Annotated[int, Field(ge=1, le=500)] = 50
    max_bytes: Annotated[int, Field(ge=1)] = 256 * 1024 * 1024
    """A larger object has a run of its own."""
    max_wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 1
    """Between launches, unless a full batch is there; a quiet ingest launches at once."""


class Retry(Model):
    """How often, and how soon, what failed is tried again."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 5
    backoff_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """Before the second attempt; doubled before each further one."""


class Toleration(Model):
    """A taint that the pods of runs put up with, as Kubernetes writes it."""

    key: Text | None = None
    operator: Text | None = None
    value: Text | None = None
    effect: Text | None = None
    toleration_seconds: int | None = None


LabelMap = Annotated[dict[str, Text], Field(max_length=32)]
Quantity = Annotated[
    str, StringConstraints(max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
]


class ResourceList(Model):
    """An amount of CPU and of memory."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class Resources(Model):
    """What the container of a run asks for, and what it may not exceed."""

    requests: ResourceList = ResourceList(cpu="250m", memory="384Mi")
    limits: ResourceList = ResourceList(memory="768Mi")


class JobOptions(Model):
    """How the Jobs of runs are made."""

    resources: Resources = Resources()
    active_deadline_seconds: Annotated[int, Field(ge=60, le=7 * 24 * 3600)] = 3600
    """A run that takes longer is ended, and counts as a temporary failure."""
    ttl_seconds_after_succeeded: Seconds = 3600
    ttl_seconds_after_failed: Seconds = 7 * 24 * 3600
    node_selector: LabelMap = {}
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    priority_class_name: Text | None = None
    labels: LabelMap = {}
    """More labels for Jobs and their pods."""
    annotations: LabelMap = {}
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
    on: Annotated[list[MailOn], Field(max_length=4)] = [MailOn.FAILED, MailOn.RECOVERED]


class Notify(Model):
    """Whom to tell."""

    email: MailTo | None = None


class Freshness(Model):
    """How old the newest load may be."""

    max_age_hours: Annotated[int, Field(ge=1, le=8760)] | None = None
    """Left out: nobody minds."""


class SalesIngestSpec(Processing):
    """One source of sales files, and what is to become of them."""

    suspend: bool = False
    """No new runs; those that run finish."""
    source: Source
    trigger: Trigger = Trigger()
    batch: Batch = Batch()
    parallelism: Annotated[int, Field(ge=1, le=50)] = 2
    """How many runs may work at once."""
    retry: Retry = Retry()
    job: JobOptions = JobOptions()
    notify: Notify = Notify()
    freshness: Freshness = Freshness()


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One statement about an ingest, as metav1.Condition writes it."""

    type: Annotated[str, StringConstraints(max_length=64)]
    status: ConditionStatus
    observed_generation: int = 0
    last_transition_time: AwareDatetime
    """When `status` last changed."""
    reason: Annotated[
        str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z]*$")
    ]
    message: Annotated[str, StringConstraints(max_length=1024)] = ""


class FileCounts(Model):
    """Objects: the first two as they are now, the others since the ingest was made."""

    pending: Count = 0
    running: Count = 0
    loaded: Count = 0
    quarantined: Count = 0
    failed: Count = 0
    """Parked now: not tried again until something changes."""


class RunSummary(Model):
    """One run, in short."""

    job: Text
    attempt: Count = 1
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    outcome: Text
    """A reason of the condition LastRunSucceeded."""
    rows: Rows = Rows()


class SalesIngestStatus(Model):
    """What is so, as far as the operator has seen."""

    observed_generation: int = 0
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    files: FileCounts = FileCounts()
    rows: Rows = Rows()
    last_run: RunSummary | None = None
    last_success_time: AwareDatetime | None = None
    next_schedule_time: AwareDatetime | None = None
    recent_runs: Annotated[list[RunSummary], Field(max_length=5)] = []
    active_jobs: Annotated[list[Text], Field(max_length=64)] = []
    counted: Annotated[list[Text], Field(max_length=1024)] = []
    """Which finished Jobs the counters hold already: written together with them, so that a killed
    operator counts nothing twice."""
