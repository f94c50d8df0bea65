"""What the operator counts. Labels have few values: no key, no name of an object or a run."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry()

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)


def _name(rest: str) -> str:
    return f"sales_operator_{rest}"


RECONCILES: Final = Counter(
    _name("reconcile"), "Looks at an ingest, by how they ended.", ["result"], registry=REGISTRY
)
RECONCILE_SECONDS: Final = Histogram(
    _name("reconcile_seconds"), "How long a look took.", buckets=_SECONDS, registry=REGISTRY
)
QUEUE_LENGTH: Final = Gauge(
    _name("queue_length"), "Ingests that wait to be looked at.", registry=REGISTRY
)
EVENTS: Final = Counter(
    _name("events"), "Events from the object store, by what came of them.", ["result"],
    registry=REGISTRY,
)  # fmt: skip
EVENTS_REFUSED: Final = Counter(
    _name("events_refused"), "Requests without the right token, by what they were.", ["reason"],
    registry=REGISTRY,
)  # fmt: skip
OBJECTS_PENDING: Final = Gauge(
    _name("objects_pending"), "Objects that wait for a run.", ["ingest"], registry=REGISTRY
)
OBJECTS_PARKED: Final = Gauge(
    _name("objects_parked"), "Objects that are not tried again until something changes.",
    ["ingest"], registry=REGISTRY,
)  # fmt: skip
OLDEST_PENDING_SECONDS: Final = Gauge(
    _name("oldest_pending_seconds"), "Age of the oldest object that waits or runs.", ["ingest"],
    registry=REGISTRY,
)  # fmt: skip
JOBS_ACTIVE: Final = Gauge(_name("jobs_active"), "Jobs of runs that live.", registry=REGISTRY)
RUNS: Final = Counter(_name("runs"), "Runs that ended, by outcome.", ["outcome"], registry=REGISTRY)
ROWS: Final = Counter(
    _name("rows"), "Rows of runs that ended, by fate.", ["fate"], registry=REGISTRY
)
LAUNCH_LATENCY: Final = Histogram(
    _name("launch_latency_seconds"), "From the upload of an object to its Job.",
    buckets=_SECONDS, registry=REGISTRY,
)  # fmt: skip
COMMIT_LATENCY: Final = Histogram(
    _name("commit_latency_seconds"), "From the upload of an object to the end of its run.",
    buckets=_SECONDS, registry=REGISTRY,
)  # fmt: skip
IS_LEADER: Final = Gauge(
    _name("is_leader"), "1 where this replica acts, 0 where it stands by.", registry=REGISTRY
)
WATCH_AGE: Final = Gauge(
    _name("watch_age_seconds"), "For how long a watch has not told what a listing told.", ["kind"],
    registry=REGISTRY,
)  # fmt: skip
API_REQUESTS: Final = Counter(
    _name("api_requests"), "Requests to the API server, those of the watches not included.",
    ["verb", "resource"], registry=REGISTRY,
)  # fmt: skip
