"""The status of an ingest: made from the last one and what is so now, and from nothing else.

Made twice from the same it is the same, so that what need not be written is not.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sales_api.ingest import SalesIngestStatus
from sales_operator.conditions import conditions, refusal
from sales_operator.counting import count
from sales_operator.observed import Ingest, Observed, Plan
from sales_operator.timetable import next_time


def status(seen: Observed, plan: Plan) -> SalesIngestStatus:
    """What is to be told of an ingest.

    Args:
        seen: Its surroundings, the Jobs made by this plan included.
        plan: What was decided about it, and what is left.
    """
    counts = count(seen, plan)
    return SalesIngestStatus(
        observed_generation=seen.ingest.epoch.generation,
        conditions=conditions(seen, plan, counts),
        files=counts.files,
        rows=counts.rows,
        last_run=counts.last_run,
        last_success_time=counts.last_success_time,
        next_schedule_time=_next_schedule_time(seen.ingest, seen.now),
        recent_runs=counts.recent_runs,
        active_jobs=counts.active_jobs,
        counted=counts.counted,
    )


def refused(
    before: SalesIngestStatus, generation: int, problem: str, now: datetime
) -> SalesIngestStatus:
    """What is to be told of an ingest whose spec makes no sense: nothing is done for it.

    Args:
        before: What was told of it last; its counters are kept.
        generation: Of the spec.
        problem: What is wrong with it, and where.
        now: The time of the look.
    """
    return before.model_copy(
        update={
            "observed_generation": generation,
            "conditions": refusal(before, generation, problem, now),
            "next_schedule_time": None,
        }
    )


def to_json(after: SalesIngestStatus) -> dict[str, Any]:
    """The status as the API server takes it; what is not known is left out."""
    return after.model_dump(mode="json", by_alias=True, exclude_none=True)


def patch_of(before: Mapping[str, Any], after: SalesIngestStatus) -> dict[str, Any]:
    """The JSON merge patch that makes one status of another; empty if they are equal.

    Args:
        before: The status as the API server has it; empty if there is none.
        after: What it is to be.
    """
    return _difference(before, to_json(after))


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    changed = {
        key: _change(old.get(key), value) for key, value in new.items() if old.get(key) != value
    }
    return changed | dict.fromkeys(old.keys() - new.keys())


def _change(old: Any, new: Any) -> Any:
    # A merge patch keeps what it does not name, within mappings too; lists it replaces as a whole.
    is_nested = isinstance(old, Mapping) and isinstance(new, Mapping)
    return _difference(old, new) if is_nested else new


def _next_schedule_time(ingest: Ingest, now: datetime) -> datetime | None:
    trigger = ingest.spec.trigger
    if ingest.spec.suspend or not trigger.schedule:
        return None
    return next_time(trigger.schedule, trigger.time_zone, now)
