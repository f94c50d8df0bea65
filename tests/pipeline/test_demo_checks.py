"""The demo's checks hold when everything is right, and each fails for its own reason."""

from dataclasses import replace

import pytest

from sales_api.report import Fate, Rows
from sales_pipeline.codes import RowCode
from sales_pipeline.demo.checks import check_all, failed
from sales_pipeline.demo.outcome import CODES, remark
from sales_pipeline.generate_errors import ErrorKind
from tests.support.demo_outcome import CUT_OFF, FIGURES, outcome

GOOD = outcome()


def audited(**counts):
    return {"figures": replace(FIGURES, audit=replace(FIGURES.audit, **counts))}


def first_with(**changes):
    return {"sales": (replace(GOOD.sales[0], **changes), GOOD.sales[1])}


def broken_claims(**changes):
    return {check.claim.split(",")[0] for check in failed(check_all(outcome(**changes)))}


def test_all_hold_when_all_is_right():
    """An outcome in order passes every check."""
    assert broken_claims() == set()
    assert len(check_all(GOOD)) == 8


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        (
            first_with(rows=Rows(read=999, loaded=995, rejected=4)),
            {"No row was lost", "Each file gave the rows that were put into it"},
        ),
        (
            first_with(rows=Rows(read=1000, loaded=995, rejected=4, deduplicated=1)),
            {"Each file gave the rows that were put into it"},
        ),
        (
            first_with(fate=Fate.FAILED, rows=Rows()),
            {"No row was lost", "Each file gave the rows that were put into it"},
        ),
        (
            {"figures": replace(FIGURES, codes={"customer_email.format": 8})},
            {"Every bad row was found"},
        ),
        (audited(rejected=7), {"Every bad row was found"}),
        (audited(facts=1991), {"Nothing was loaded twice"}),
        ({"again": replace(GOOD.again, fate=Fate.LOADED)}, {"Nothing was loaded twice"}),
        (
            {"again": replace(GOOD.again, fate=Fate.LOADED, rows=GOOD.sales[0].rows)},
            {"Nothing was loaded twice", "No row was lost"},
        ),
        ({"has_reason": False}, {"The broken file is in quarantine with its reason"}),
        (
            {"cut_off": replace(GOOD.cut_off, fate=Fate.FAILED)},
            {"The broken file is in quarantine with its reason"},
        ),
        (
            {"cut_off": replace(GOOD.cut_off, error=None)},
            {"The broken file is in quarantine with its reason"},
        ),
        ({"waiting": 1}, {"Every object went to its final place"}),
        (audited(orphans=1), {"Every fact has its customer"}),
        (audited(legible=1), {"No clear personal data is in the warehouse"}),
    ],
)
def test_each_fails_for_its_own_reason(changes, claims):
    """What is wrong is found by the checks that it concerns, and by no other."""
    assert broken_claims(**changes) == claims


def test_what_is_wrong_is_named():
    """A failed check tells the file or the code that it failed for."""
    checks = check_all(outcome(**first_with(fate=Fate.GONE), figures=replace(FIGURES, codes={})))
    found = " | ".join(check.found for check in failed(checks))
    assert "1 of 2 files, but not sales-1.csv" in found
    assert "but not customer_email.format, row.malformed" in found


def test_every_way_of_breaking_a_row_has_its_code():
    """Each error of the generator is expected under one code, and no two under the same."""
    assert set(CODES) == set(ErrorKind)
    assert len(set(CODES.values())) == len(ErrorKind)
    assert set(CODES.values()) <= set(RowCode)


def test_remarks():
    """Only what did not simply load has a remark."""
    assert remark(GOOD.sales[0]) == ""
    assert remark(GOOD.cut_off) == f"{CUT_OFF.what} [file.compression]"
    assert "nothing loaded twice" in remark(GOOD.again)
