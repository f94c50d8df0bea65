"""What the operator sees of one ingest, as values: everything it decides is decided from these."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sales_api.ingest import SalesIngestSpec, SalesIngestStatus
from sales_api.report import RunReport
from sales_api.request import ObjectRef


@dataclass(frozen=True)
class IngestKey:
    """Which ingest."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Epoch:
    """What releases parked objects when it changes: failures of another epoch do not count."""

    generation: int
    retry: str = ""
    """The value of the annotation minidata.io/retry."""


@dataclass(frozen=True)
class Ingest:
    """One SalesIngest as the API server has it, its spec understood."""

    key: IngestKey
    uid: str
    resource_version: str
    epoch: Epoch
    spec: SalesIngestSpec
    status: SalesIngestStatus
    created_at: datetime


class RunState(StrEnum):
    """Where a Job stands."""

    LIVE = "Live"
    """It may still do something: running, queued, or suspended by a queueing system."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Outcome(StrEnum):
    """How a run ended; also the reasons of the condition LastRunSucceeded."""

    SUCCEEDED = "Succeeded"
    QUARANTINED = "FilesQuarantined"
    """Exit 65: at least one object is bad for good and lies in quarantine; the rest is done."""
    TEMPORARY = "TemporaryFailure"
    """Exit 75."""
    CONFIGURATION = "ConfigurationError"
    """Exit 78: a human must act."""
    DEADLINE = "DeadlineExceeded"
    OUT_OF_MEMORY = "OutOfMemory"
    CRASHED = "Crashed"
    """Any other end, or one that nobody saw, such as that of an evicted or deleted pod."""


@dataclass(frozen=True)
class Run:
    """One Job of an ingest."""

    name: str
    uid: str
    state: RunState
    epoch: Epoch
    attempt: int
    created_at: datetime
    objects: tuple[ObjectRef, ...] = ()
    """What it was made for; none for a sweep, which takes all that lay there when it began."""
    is_sweep: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: Outcome | None = None
    """None while it is live."""
    report: RunReport | None = None
    """None while it is live, and where the pod left none."""
    trouble: str = ""
    """Why a live run does not get going (image, scheduling), or why one without a report ended."""

    @property
    def is_live(self) -> bool:
        """Whether it may still do something."""
        return self.state is RunState.LIVE

    @property
    def ended_at(self) -> datetime:
        """When a finished run ended, as far as anybody knows."""
        return self.finished_at or self.created_at

    @property
    def token(self) -> str:
        """What `counted` in a status knows it by."""
        return self.uid[:8]


@dataclass(frozen=True)
class Problem:
    """Why something outside does not work, fit for a condition: no secret, no driver's text."""

    reason: str
    """CamelCase, such as AccessDenied."""
    message: str
    """What, where, and how to mend it."""
    is_lasting: bool = False
    """A human must act; otherwise it is expected to pass."""


@dataclass(frozen=True)
class Observed:
    """One ingest and its surroundings at a moment."""

    ingest: Ingest
    now: datetime
    runs: tuple[Run, ...] = ()
    """Its Jobs, seen before the objects were listed."""
    objects: tuple[ObjectRef, ...] = ()
    """What waits under the prefix and is wanted, in any order."""
    source: Problem | None = None
    """Why the bucket could not be listed; `objects` is empty then."""
    events: Problem | None = None
    """Why the object store does not tell of new objects, where the spec wants it to."""
    schedule: Problem | None = None
    """Why the CronJob could not be brought to the spec."""
    launching: Problem | None = None
    """Why Jobs could not be made."""
    free_slots: int = 1_000_000
    """How many more Jobs the operator may have alive, over all ingests."""


@dataclass(frozen=True)
class Launch:
    """A batch to be run."""

    objects: tuple[ObjectRef, ...]
    attempt: int = 1


@dataclass(frozen=True)
class Plan:
    """What is to be done about one ingest, and what is left."""

    launches: tuple[Launch, ...] = ()
    deletions: tuple[Run, ...] = ()
    """Finished Jobs that have served: counted, too old or too many, and no memory of a retry."""
    running: int = 0
    """Objects in live runs, those of `launches` included."""
    pending: int = 0
    """Objects that wait, parked ones not included."""
    parked: tuple[ObjectRef, ...] = ()
    """Objects that are not tried again until the object, the spec or the annotation changes."""
    parked_because: Outcome | None = None
    """How the last run of the oldest of them ended."""
    oldest_pending: datetime | None = None
    """When the oldest object that waits or runs was last modified."""
    look_again_at: datetime | None = None
    """When something is due that no event will tell of: a backoff, a settling object, a batch."""


@dataclass(frozen=True)
class Notice:
    """A Kubernetes Event about an ingest."""

    reason: str
    message: str
    is_warning: bool = False
    about: str = ""
    """What makes it one of a kind, such as a Job's name: the same notice is posted once."""
