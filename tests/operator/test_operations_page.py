"""docs/operations.md has every condition, reason and Event of the operator once, and no other."""

import ast
import re

import pytest

from sales_api.ingest import SalesIngestStatus
from sales_operator.conditions import Reason, Type
from sales_operator.metrics import REGISTRY
from sales_operator.notices import TURNS, Happening
from sales_operator.observed import Outcome
from tests.docs import pages

PAGE = "docs/operations.md"
SOURCES = sorted((pages.ROOT / "operator/src").rglob("*.py"))
MAKERS = {"Problem", "Fault"}
"""What is made with a reason as its first argument."""

REASON = re.compile(r"[A-Z][A-Za-z]*")


def calls(tree):
    named = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return [call for call in named if call.func.id in MAKERS]


def reasons_of(call):
    """The reason that a call spells out, if it does."""
    named = [k.value for k in call.keywords if k.arg == "reason"]
    first = [*call.args[:1], *named][:1]
    return [n.value for n in first if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def problems():
    """Reasons of all problems that the sources can make."""
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCES]
    return {reason for tree in trees for call in calls(tree) for reason in reasons_of(call)}


def first_cells(heading):
    cells = [row[0] for row in pages.rows(pages.section(PAGE, heading))]
    return [cell for cell in cells if cell != "Reason"]


def test_each_condition_is_documented_in_its_order():
    assert first_cells("Conditions") == [kind.value for kind in Type]


def test_each_reason_is_documented_once_and_no_other():
    ours = {*(r.value for r in Reason), *(o.value for o in Outcome), *problems()}
    assert sorted(first_cells("Reasons")) == sorted(ours)


def test_each_event_is_documented_once_and_no_other():
    assert sorted(first_cells("Events")) == sorted(h.value for h in Happening)


def test_the_type_of_each_event_that_comes_and_goes_is_documented():
    types = {row[0]: row[1] for row in pages.rows(pages.section(PAGE, "Events"))}
    comes = {turn.comes.value: "Warning" if turn.is_warning else "Normal" for turn in TURNS}
    goes = {turn.goes.value: "Normal" for turn in TURNS}
    assert {reason: types[reason] for reason in (*comes, *goes)} == comes | goes


def test_each_row_tells_what_to_do():
    reasons = pages.rows(pages.section(PAGE, "Reasons"))
    assert [
        row for row in (*reasons, *pages.rows(pages.section(PAGE, "Events"))) if not row[-1]
    ] == []


def test_each_number_of_the_status_is_documented():
    part = pages.section(PAGE, "Numbers")
    told_elsewhere = {"observedGeneration", "conditions"}
    aliases = {field.alias for field in SalesIngestStatus.model_fields.values()} - told_elsewhere
    assert {alias for alias in aliases if f"`{alias}" not in part} == set()


def test_each_metric_is_documented_once_and_no_other():
    counted = {f"{m.name}_total" if m.type == "counter" else m.name for m in REGISTRY.collect()}
    # The receiver shows this one while it serves.
    wanted = counted | {"sales_operator_certificate_expiry_timestamp_seconds"}
    assert sorted(cell for cell in first_cells("Metrics") if cell != "Metric") == sorted(wanted)


@pytest.mark.parametrize("reason", sorted(problems()))
def test_a_reason_is_spelled_as_kubernetes_wants_it(reason):
    assert REASON.fullmatch(reason)


def test_the_problems_are_found_in_the_sources():
    """An empty search would find everything documented."""
    assert {"AccessDenied", "JobRefused"} <= problems()
