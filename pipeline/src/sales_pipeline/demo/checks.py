"""The demo's own audit: what was delivered against what became of it. Pure.

The generator knows what it broke, the run tells what it did, the warehouse counts what it holds;
each counts on its own, so where all three agree nothing was lost, doubled or made up.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sales_api.report import Fate, Rows
from sales_pipeline.codes import FileCode
from sales_pipeline.demo.outcome import Outcome
from sales_pipeline.generate import GeneratedFile
from sales_pipeline.run import Result


@dataclass(frozen=True)
class Check:
    """One thing that must hold, and what was found."""

    claim: str
    holds: bool
    found: str


def check_all(outcome: Outcome) -> tuple[Check, ...]:
    """Everything the demo claims."""
    return (
        _conservation(outcome),
        _every_file(outcome),
        _every_code(outcome),
        _once(outcome),
        _quarantine(outcome),
        _archived(outcome),
        _integrity(outcome),
        _privacy(outcome),
    )


def failed(checks: Sequence[Check]) -> list[Check]:
    """Those that do not hold."""
    return [check for check in checks if not check.holds]


def _conservation(outcome: Outcome) -> Check:
    rows = outcome.rows
    return Check(
        "No row was lost",
        outcome.delivered == outcome.accounted,
        f"{outcome.delivered:,} generated; {rows.loaded:,} loaded + {rows.rejected:,} rejected"
        f" + {rows.deduplicated:,} deduplicated = {outcome.accounted:,}",
    )


def _every_file(outcome: Outcome) -> Check:
    pairs = zip(outcome.generated, outcome.sales, strict=True)
    wrong = [file.name for file, result in pairs if not _as_generated(file, result)]
    good = len(outcome.generated) - len(wrong)
    return Check(
        "Each file gave the rows that were put into it",
        not wrong,
        f"{good} of {len(outcome.generated)} files{_but(wrong)}",
    )


def _as_generated(file: GeneratedFile, result: Result) -> bool:
    expected = Rows(read=file.rows, loaded=file.good_rows, rejected=file.bad_rows)
    return result.fate is Fate.LOADED and result.rows == expected


def _every_code(outcome: Outcome) -> Check:
    expected, found = outcome.injected, Counter(outcome.figures.codes)
    wrong = sorted(code for code in expected | found if expected[code] != found[code])
    return Check(
        "Every bad row was found, for the right reason",
        not wrong and outcome.figures.audit.rejected == expected.total(),
        f"{expected.total():,} injected, {outcome.figures.audit.rejected:,} rejected,"
        f" {len(expected)} codes{_but(wrong)}",
    )


def _once(outcome: Outcome) -> Check:
    facts, good = outcome.figures.audit.facts, sum(f.good_rows for f in outcome.generated)
    return Check(
        "Nothing was loaded twice",
        facts == good and outcome.again.fate is Fate.ALREADY_LOADED,
        f"{facts:,} facts from {good:,} good rows; second delivery: {outcome.again.fate.value}",
    )


def _quarantine(outcome: Outcome) -> Check:
    error = outcome.cut_off.error
    code = error.code if error else "no code"
    refused = outcome.cut_off.fate is Fate.QUARANTINED and code == FileCode.COMPRESSION
    return Check(
        "The broken file is in quarantine with its reason, and none of its rows in the warehouse",
        refused and outcome.has_reason and outcome.cut_off.rows == Rows(),
        f"{outcome.cut_off.fate.value}, {code}"
        f"{', reason beside it' if outcome.has_reason else ', no reason beside it'}",
    )


def _archived(outcome: Outcome) -> Check:
    found = f"{outcome.waiting} left in the inbox"
    return Check("Every object went to its final place", outcome.waiting == 0, found)


def _integrity(outcome: Outcome) -> Check:
    orphans = outcome.figures.audit.orphans
    found = f"{orphans:,} facts without a dimension"
    return Check("Every fact has its customer, product and dates", orphans == 0, found)


def _privacy(outcome: Outcome) -> Check:
    audit = outcome.figures.audit
    return Check(
        "No clear personal data is in the warehouse",
        audit.legible == 0,
        f"{audit.legible:,} of {audit.customers:,} customers show more than a pseudonym,"
        " initials and four digits",
    )


def _but(wrong: list[str]) -> str:
    return f", but not {', '.join(wrong)}" if wrong else ""
