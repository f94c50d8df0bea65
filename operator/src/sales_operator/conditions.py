"""The conditions of an ingest: always all eight, in one order, and never at odds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sales_api.ingest import Condition, ConditionStatus, RunSummary, SalesIngestStatus
from sales_operator.counting import Counts, finished, live
from sales_operator.observed import Observed, Outcome, Plan, Problem
from sales_operator.wording import bounded, described, objects, of_parked, shown


class Type(StrEnum):
    """What is stated, in the order in which it is told."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SOURCE_REACHABLE = "SourceReachable"
    EVENTS_READY = "EventsReady"
    SCHEDULE_READY = "ScheduleReady"
    LAST_RUN_SUCCEEDED = "LastRunSucceeded"
    FRESH = "Fresh"


class Reason(StrEnum):
    """Reasons of our own; a `Problem` brings its own, an `Outcome` is one."""

    READY = "Ready"
    SUSPENDED = "Suspended"
    INVALID_SPEC = "InvalidSpec"
    OBJECTS_PARKED = "ObjectsParked"
    NOT_STALLED = "NotStalled"
    PODS_NOT_STARTING = "PodsNotStarting"
    RUNS_ACTIVE = "RunsActive"
    OBJECTS_WAITING = "ObjectsWaiting"
    UP_TO_DATE = "UpToDate"
    LISTED = "Listed"
    SUBSCRIBED = "Subscribed"
    DISABLED = "Disabled"
    SCHEDULED = "Scheduled"
    NOT_SCHEDULED = "NotScheduled"
    NO_RUN_YET = "NoRunYet"
    FRESH = "Fresh"
    STALE = "Stale"
    NOT_WATCHED = "NotWatched"


@dataclass(frozen=True)
class Verdict:
    """A condition without its history."""

    status: ConditionStatus
    reason: str
    message: str


Verdicts = Mapping[Type, Verdict]


def _true(reason: str, message: str) -> Verdict:
    return Verdict(ConditionStatus.TRUE, reason, message)


def _false(reason: str, message: str) -> Verdict:
    return Verdict(ConditionStatus.FALSE, reason, message)


def _unknown(reason: str, message: str) -> Verdict:
    return Verdict(ConditionStatus.UNKNOWN, reason, message)


def conditions(seen: Observed, plan: Plan, counts: Counts) -> list[Condition]:
    """All conditions of an ingest whose spec is understood."""
    verdicts = {
        **summary(_concerns(seen, plan, counts)),
        Type.SOURCE_REACHABLE: _source(seen),
        Type.EVENTS_READY: _events(seen),
        Type.SCHEDULE_READY: _schedule(seen),
        Type.LAST_RUN_SUCCEEDED: _last_run(seen, counts),
        Type.FRESH: _fresh(seen, counts),
    }
    return _written(verdicts, seen.ingest.status, seen.ingest.epoch.generation, seen.now)


def refusal(
    before: SalesIngestStatus, generation: int, problem: str, now: datetime
) -> list[Condition]:
    """All conditions of an ingest whose spec makes no sense."""
    message = (
        f"the spec is refused: {problem}. Correct it; until then nothing is launched, and a "
        "scheduled run keeps to the last spec that was understood"
    )
    verdicts = {
        **dict.fromkeys(Type, _unknown(Reason.INVALID_SPEC, "the spec is refused, see Ready")),
        **summary(Concerns((Problem(Reason.INVALID_SPEC, message, is_lasting=True),))),
        Type.LAST_RUN_SUCCEEDED: _as_told(before, before.last_run),
    }
    return _written(verdicts, before, generation, now)


def find(told: SalesIngestStatus, kind: Type) -> Condition | None:
    """One condition of a status."""
    return next((c for c in told.conditions if c.type == kind), None)


# --- the summary: Ready, Reconciling, Stalled


@dataclass(frozen=True)
class Concerns:
    """Everything that the summary is made of."""

    problems: tuple[Problem, ...] = ()
    """What keeps the ingest from its work, the most telling first."""
    working: Verdict | None = None
    """What goes on, suspended or not."""
    waiting: Verdict | None = None
    """What will go on, unless suspended."""
    is_suspended: bool = False
    all_well: str = ""
    """What to say where nothing is the matter."""

    @property
    def lasting(self) -> list[Problem]:
        """Those that wait for a human."""
        return [problem for problem in self.problems if problem.is_lasting]

    @property
    def passing(self) -> list[Problem]:
        """Those that are expected to pass."""
        return [problem for problem in self.problems if not problem.is_lasting]


def summary(concerns: Concerns) -> Verdicts:
    """What `kubectl wait` and kstatus look at, all from one set of concerns."""
    return {
        Type.READY: _ready(concerns),
        Type.RECONCILING: _reconciling(concerns),
        Type.STALLED: _stalled(concerns),
    }


def _ready(concerns: Concerns) -> Verdict:
    problems = [*concerns.lasting, *concerns.passing]
    if concerns.is_suspended:
        message = "spec.suspend is true: what runs may finish, nothing new is begun"
        return _false(Reason.SUSPENDED, message)
    if problems:
        return _false(problems[0].reason, _joined(problems))
    return _true(Reason.READY, concerns.all_well)


def _reconciling(concerns: Concerns) -> Verdict:
    if concerns.working:
        return concerns.working
    if concerns.is_suspended:
        return _false(Reason.SUSPENDED, "nothing runs, and nothing is begun while suspended")
    if passing := concerns.passing:
        return _true(passing[0].reason, f"it is tried again: {_joined(passing)}")
    if concerns.waiting:
        return concerns.waiting
    if lasting := concerns.lasting:
        return _false(lasting[0].reason, "nothing goes on until a human acts, see Stalled")
    return _false(Reason.UP_TO_DATE, "no object waits, no run is active")


def _stalled(concerns: Concerns) -> Verdict:
    if lasting := concerns.lasting:
        return _true(lasting[0].reason, _joined(lasting))
    return _false(Reason.NOT_STALLED, "nothing waits for a human")


def _joined(problems: Sequence[Problem]) -> str:
    return "; ".join(problem.message.rstrip(". ") for problem in problems)


def _concerns(seen: Observed, plan: Plan, counts: Counts) -> Concerns:
    outside = (seen.source, seen.launching, seen.schedule)
    parked = of_parked(seen, plan, counts.files.failed)
    stuck = [Problem(Reason.OBJECTS_PARKED, parked, is_lasting=True)] if parked else []
    return Concerns(
        problems=(*(problem for problem in outside if problem), *stuck),
        working=_working(seen, plan),
        waiting=_waiting(plan),
        is_suspended=seen.ingest.spec.suspend,
        all_well=_all_well(seen),
    )


def _working(seen: Observed, plan: Plan) -> Verdict | None:
    active = live(seen.runs)
    if not active:
        return None
    if stuck := [run for run in active if run.trouble]:
        message = f"{len(stuck)} of {len(active)} active runs cannot start; {stuck[0].name}: "
        return _true(Reason.PODS_NOT_STARTING, message + stuck[0].trouble)
    what = f"active runs: {len(active)}, with {objects(plan.running)}; waiting: {plan.pending}"
    return _true(Reason.RUNS_ACTIVE, what)


def _waiting(plan: Plan) -> Verdict | None:
    if not plan.pending:
        return None
    message = f"waiting: {objects(plan.pending)}, to settle, to be tried again, or for a free run"
    return _true(Reason.OBJECTS_WAITING, message)


def _all_well(seen: Observed) -> str:
    what = f"what arrives under {_place(seen)} is loaded"
    events = _events(seen)
    if events.status is ConditionStatus.TRUE:
        return f"{what} as it arrives"
    return f"{what}, though found by the regular listing alone; {events.message}"


# --- one concern each


def _place(seen: Observed) -> str:
    source = seen.ingest.spec.source
    return f"{source.bucket}/{shown(source.prefix)}"


def _source(seen: Observed) -> Verdict:
    if seen.source:
        return _false(seen.source.reason, seen.source.message)
    return _true(Reason.LISTED, f"{_place(seen)} can be listed")


def _events(seen: Observed) -> Verdict:
    if not seen.ingest.spec.trigger.events:
        return _false(Reason.DISABLED, "spec.trigger.events is false")
    if seen.events:
        return _false(seen.events.reason, seen.events.message)
    return _true(Reason.SUBSCRIBED, f"the object store tells of what arrives under {_place(seen)}")


def _schedule(seen: Observed) -> Verdict:
    trigger = seen.ingest.spec.trigger
    if seen.schedule:
        return _false(seen.schedule.reason, seen.schedule.message)
    if not trigger.schedule:
        return _false(Reason.NOT_SCHEDULED, "spec.trigger.schedule is empty")
    if seen.ingest.spec.suspend:
        return _false(Reason.SUSPENDED, "the CronJob is suspended with the ingest")
    return _true(Reason.SCHEDULED, f"a CronJob runs at {trigger.schedule} ({trigger.time_zone})")


def _last_run(seen: Observed, counts: Counts) -> Verdict:
    last = counts.last_run
    ended = [run for run in finished(seen.runs) if last and run.name == last.job]
    if last and ended:
        return _verdict_on(last.outcome, described(ended[-1]))
    return _as_told(seen.ingest.status, last)


def _as_told(before: SalesIngestStatus, last: RunSummary | None) -> Verdict:
    """What was said of a run whose Job is gone; from its summary if even that is lost."""
    if last is None:
        return _unknown(Reason.NO_RUN_YET, "no run has ended yet")
    told = find(before, Type.LAST_RUN_SUCCEEDED)
    if told and told.reason == last.outcome and before.last_run == last:
        return _verdict_on(last.outcome, told.message)
    return _verdict_on(last.outcome, f"{last.job}, attempt {last.attempt}: {last.outcome}")


def _verdict_on(outcome: str, message: str) -> Verdict:
    if outcome == Outcome.SUCCEEDED:
        return _true(outcome, message)
    return _false(outcome if outcome in set(Outcome) else Outcome.CRASHED, message)


def _fresh(seen: Observed, counts: Counts) -> Verdict:
    hours = seen.ingest.spec.freshness.max_age_hours
    if hours is None:
        return _unknown(Reason.NOT_WATCHED, "spec.freshness.maxAgeHours is not set")
    loaded, made = counts.last_success_time, seen.ingest.created_at
    since = f"the last load ended {_time(loaded)}" if loaded else f"no load since {_time(made)}"
    message = f"{since}; {hours} h are allowed"
    if seen.now - (loaded or made) > timedelta(hours=hours):
        return _false(Reason.STALE, f"{message}. See whether files arrive, and how runs end")
    return _true(Reason.FRESH, message)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


# --- history


def _written(
    verdicts: Verdicts, before: SalesIngestStatus, generation: int, now: datetime
) -> list[Condition]:
    moment = now.astimezone(UTC).replace(microsecond=0)
    return [
        Condition(
            type=kind,
            status=verdicts[kind].status,
            observed_generation=generation,
            last_transition_time=_since(find(before, kind), verdicts[kind], moment),
            reason=verdicts[kind].reason,
            message=bounded(verdicts[kind].message),
        )
        for kind in Type
    ]


def _since(told: Condition | None, verdict: Verdict, moment: datetime) -> datetime:
    return told.last_transition_time if told and told.status == verdict.status else moment
