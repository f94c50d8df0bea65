"""How a status speaks of runs and objects: bounded texts, without a value of a row."""

from typing import Final

from sales_api.report import RunReport
from sales_operator.batching import age
from sales_operator.counting import outcome_of
from sales_operator.observed import Observed, Outcome, Plan, Run

MAX_MESSAGE: Final = 1024
"""Characters: of a condition's message, and of an Event's."""

_MAX_KEY: Final = 200

_ADVICE: Final = {
    Outcome.SUCCEEDED: "",
    Outcome.QUARANTINED: "what is bad lies in quarantine with a reason: correct it, send it again",
    Outcome.TEMPORARY: "it is tried again, up to spec.retry.maxAttempts times",
    Outcome.CONFIGURATION: "its objects are parked until that is mended",
    Outcome.DEADLINE: "raise spec.job.activeDeadlineSeconds, or lower spec.batch",
    Outcome.OUT_OF_MEMORY: "raise spec.job.resources.limits.memory",
    Outcome.CRASHED: "kubectl logs has more while its pod is there",
}


def bounded(text: str) -> str:
    """The text, cut where it is too long for a message."""
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 3]}..."


def shown(key: str) -> str:
    """A key fit for a terminal."""
    plain = "".join(c if c.isprintable() else "?" for c in key)
    return plain if len(plain) <= _MAX_KEY else f"{plain[: _MAX_KEY - 3]}..."


def objects(number: int) -> str:
    """A number of objects."""
    return "1 object" if number == 1 else f"{number} objects"


def described(run: Run) -> str:
    """How a finished run ended: counts, the first thing that went wrong, what to do."""
    parts = (
        f"{run.name}, attempt {run.attempt}: {outcome_of(run)}",
        _counts(run.report) if run.report else "",
        _first_error(run.report) if run.report and run.report.errors else run.trouble.rstrip(". "),
        _ADVICE[outcome_of(run)],
    )
    return bounded("; ".join(part for part in parts if part))


def began(run: Run) -> str:
    """What a run has set out to do."""
    what = "all that waits" if run.is_sweep else objects(len(run.objects))
    return f"{run.name} began: {what}, attempt {run.attempt}"


def of_parked(seen: Observed, plan: Plan, number: int) -> str:
    """What is to be said of parked objects; empty where there are none."""
    if not number:
        return ""
    return (
        f"parked: {objects(number)}{_oldest(plan)}. Mend the cause, then: kubectl "
        f"annotate si {seen.ingest.key.name} -n {seen.ingest.key.namespace} "
        'minidata.io/retry="$(date +%s)" --overwrite'
    )


def _oldest(plan: Plan) -> str:
    if not plan.parked:
        return " as of the last listing"
    key = shown(min(plan.parked, key=age).key)
    why = f", whose last run ended with {plan.parked_because}" if plan.parked_because else ""
    return f", the oldest is {key}{why}"


def _counts(report: RunReport) -> str:
    files = {name: n for name, n in report.files.model_dump().items() if n}
    named = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in files.items())
    rows = report.rows
    return (
        f"objects: {named or 'none'}; rows: {rows.read} read = {rows.loaded} loaded + "
        f"{rows.rejected} rejected + {rows.deduplicated} deduplicated"
    )


def _first_error(report: RunReport) -> str:
    error = report.errors[0]
    return f"{error.key}: {error.code}: {error.message.rstrip('. ')}"
