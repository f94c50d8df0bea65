"""What happened to an ingest between two statuses: told once, as Kubernetes Events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sales_api.ingest import ConditionStatus, SalesIngestStatus
from sales_operator.conditions import Reason, Type, find
from sales_operator.counting import finished, live, outcome_of
from sales_operator.observed import Notice, Observed, Outcome, Run
from sales_operator.wording import began, described


class Happening(StrEnum):
    """Reasons of Events."""

    ACCEPTED = "Accepted"
    RUN_STARTED = "RunStarted"
    RUN_SUCCEEDED = "RunSucceeded"
    RUN_QUARANTINED = "RunQuarantinedFiles"
    RUN_FAILED = "RunFailed"
    INVALID_SPEC = "InvalidSpec"
    SPEC_ACCEPTED = "SpecAccepted"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    SOURCE_UNREACHABLE = "SourceUnreachable"
    SOURCE_RECOVERED = "SourceRecovered"
    EVENTS_NOT_READY = "EventsNotReady"
    EVENTS_RECOVERED = "EventsRecovered"
    SCHEDULE_NOT_READY = "ScheduleNotReady"
    SCHEDULE_RECOVERED = "ScheduleRecovered"
    OBJECTS_PARKED = "ObjectsParked"
    OBJECTS_RELEASED = "ObjectsReleased"
    STALE = "Stale"
    FRESH_AGAIN = "FreshAgain"


def notices(
    before: SalesIngestStatus, after: SalesIngestStatus, seen: Observed | None
) -> tuple[Notice, ...]:
    """What is to be told; nothing if the statuses are equal.

    Args:
        before: What was told last.
        after: What is told now.
        seen: What `after` was made from; None for a refused spec.
    """
    if not before.conditions:
        # An ingest seen for the first time, or one whose status was lost: its runs are not news.
        return (*_first_sight(after), *_turns(before, after))
    runs = seen.runs if seen else ()
    return (*_of_runs(before, after, runs), *_turns(before, after))


# --- runs


def _of_runs(
    before: SalesIngestStatus, after: SalesIngestStatus, runs: tuple[Run, ...]
) -> Iterator[Notice]:
    active = set(after.active_jobs) - set(before.active_jobs)
    counted = set(after.counted) - set(before.counted)
    for run in live(runs):
        if run.name in active:
            yield Notice(Happening.RUN_STARTED, began(run), about=run.uid)
    for run in finished(runs):
        if run.token in counted:
            yield _of_end(run)


def _of_end(run: Run) -> Notice:
    reasons = {
        Outcome.SUCCEEDED: Happening.RUN_SUCCEEDED,
        Outcome.QUARANTINED: Happening.RUN_QUARANTINED,
    }
    reason = reasons.get(outcome_of(run), Happening.RUN_FAILED)
    is_warning = reason is not Happening.RUN_SUCCEEDED
    return Notice(reason, described(run), is_warning, about=run.uid)


# --- conditions

Test = Callable[[SalesIngestStatus], bool]


def _is(kind: Type, status: ConditionStatus, *but: Reason) -> Test:
    """Tells whether a condition is so, for another reason than these."""

    def test(told: SalesIngestStatus) -> bool:
        condition = find(told, kind)
        return condition is not None and condition.status == status and condition.reason not in but

    return test


def _because(kind: Type, reason: Reason) -> Test:
    """Tells whether a condition has this reason."""

    def test(told: SalesIngestStatus) -> bool:
        condition = find(told, kind)
        return condition is not None and condition.reason == reason

    return test


def _neither(*tests: Test) -> Test:
    return lambda told: not any(test(told) for test in tests)


@dataclass(frozen=True)
class _Turn:
    """Something that comes and goes, and is told of both times."""

    comes: Happening
    goes: Happening
    kind: Type
    """The condition whose message tells of it."""
    is_here: Test
    is_over: Test
    """Not just the opposite: while nobody knows, it is neither."""
    is_warning: bool = True


_TRUE, _FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE
_INVALID = _because(Type.STALLED, Reason.INVALID_SPEC)
_SUSPENDED = _because(Type.READY, Reason.SUSPENDED)

TURNS: Final = (
    _Turn(
        Happening.INVALID_SPEC,
        Happening.SPEC_ACCEPTED,
        Type.READY,
        _INVALID,
        _neither(_INVALID),
    ),
    _Turn(
        Happening.SUSPENDED,
        Happening.RESUMED,
        Type.READY,
        _SUSPENDED,
        _neither(_SUSPENDED, _INVALID),
        is_warning=False,
    ),
    _Turn(
        Happening.SOURCE_UNREACHABLE,
        Happening.SOURCE_RECOVERED,
        Type.SOURCE_REACHABLE,
        _is(Type.SOURCE_REACHABLE, _FALSE),
        _is(Type.SOURCE_REACHABLE, _TRUE),
    ),
    _Turn(
        Happening.EVENTS_NOT_READY,
        Happening.EVENTS_RECOVERED,
        Type.EVENTS_READY,
        _is(Type.EVENTS_READY, _FALSE, Reason.DISABLED),
        _is(Type.EVENTS_READY, _TRUE),
    ),
    _Turn(
        Happening.SCHEDULE_NOT_READY,
        Happening.SCHEDULE_RECOVERED,
        Type.SCHEDULE_READY,
        _is(Type.SCHEDULE_READY, _FALSE, Reason.NOT_SCHEDULED, Reason.SUSPENDED),
        _is(Type.SCHEDULE_READY, _TRUE),
    ),
    _Turn(
        Happening.OBJECTS_PARKED,
        Happening.OBJECTS_RELEASED,
        Type.STALLED,
        lambda told: told.files.failed > 0,
        lambda told: told.files.failed == 0,
    ),
    _Turn(
        Happening.STALE,
        Happening.FRESH_AGAIN,
        Type.FRESH,
        _is(Type.FRESH, _FALSE),
        _is(Type.FRESH, _TRUE),
    ),
)


def _first_sight(after: SalesIngestStatus) -> Iterator[Notice]:
    if not _INVALID(after):
        yield _told(Happening.ACCEPTED, Type.READY, after, is_warning=False)


def _turns(before: SalesIngestStatus, after: SalesIngestStatus) -> Iterator[Notice]:
    for turn in TURNS:
        was_here, is_here = turn.is_here(before), turn.is_here(after)
        if is_here and not was_here:
            yield _told(turn.comes, turn.kind, after, is_warning=turn.is_warning)
        if was_here and turn.is_over(after):
            yield _told(turn.goes, turn.kind, after, is_warning=False)


def _told(reason: Happening, kind: Type, after: SalesIngestStatus, *, is_warning: bool) -> Notice:
    condition = find(after, kind)
    if condition is None:
        raise AssertionError("a status has all conditions")
    # The generation, as some things come and go without a change of the condition's status.
    moment = condition.last_transition_time.isoformat()
    about = f"{kind} {moment} {condition.observed_generation}"
    return Notice(reason, condition.message, is_warning, about)
