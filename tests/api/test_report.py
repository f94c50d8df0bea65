"""The report fits a termination message, whatever happened, and is read by any version."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sales_api.names import REPORT_VERSION
from sales_api.report import (
    MAX_CODES,
    MAX_ERRORS,
    MAX_REPORT_BYTES,
    ExitCode,
    Files,
    ReportedError,
    Rows,
    RunReport,
)

counts = st.integers(0, 10**15)
lines = st.text(max_size=400) | st.text('"\\\n\x00é𝄞<&\x7f\u2028', max_size=400)
files = st.builds(
    Files, loaded=counts, already_loaded=counts, quarantined=counts, gone=counts, failed=counts
)
rows = st.builds(Rows, read=counts, loaded=counts, rejected=counts, deduplicated=counts)
moments = st.none() | st.datetimes(timezones=st.just(UTC))
reports = st.builds(
    RunReport,
    ingest=lines,
    run=lines,
    attempt=counts,
    exit_code=st.sampled_from(ExitCode),
    files=files,
    rows=rows,
    reject_codes=st.dictionaries(lines, counts, max_size=MAX_CODES),
    errors=st.lists(
        st.builds(ReportedError, key=lines, code=lines, message=lines), max_size=MAX_ERRORS
    ),
    started_at=moments,
    finished_at=moments,
)


@settings(max_examples=200)
@given(reports)
def test_report_fits_and_comes_back(report):
    """At most 4096 bytes of ASCII for any texts and counts, and nothing is lost on the way."""
    message = report.to_message()

    assert len(message) <= MAX_REPORT_BYTES
    assert message.isascii()
    assert RunReport.parse(message) == report
    assert RunReport.parse(message.decode()) == report


def test_longest_report_fits():
    """Every list full, every text as long as it may be, every count at its limit."""
    most, long = 10**15, "x" * 1000
    error = ReportedError(key=long, code=long, message=long)

    report = RunReport(
        api_version=long,
        ingest=long,
        run=long,
        attempt=most,
        exit_code=ExitCode.CONFIGURATION,
        files=Files(loaded=most, already_loaded=most, quarantined=most, gone=most, failed=most),
        rows=Rows(read=most, loaded=most, rejected=most, deduplicated=most),
        reject_codes={f"{n}{long}": most for n in range(MAX_CODES)},
        errors=[error] * MAX_ERRORS,
        started_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        finished_at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    )

    assert len(report.to_message()) <= MAX_REPORT_BYTES


def test_texts_are_cut_and_plain():
    """One byte of JSON for each character: nothing needs an escape."""
    error = ReportedError(key="raw/" + "é" * 100, code="file.empty", message='a "b"\nc\\d\x7f')

    assert error.key == "raw/" + "?" * 57 + "..."
    assert error.message == "a ?b??c?d?"
    assert ReportedError(key="x" * 64, code="", message="").key == "x" * 64


def test_reader_is_tolerant_of_a_newer_run():
    """Fields that it does not know are passed over, at any depth."""
    message = {
        "apiVersion": "report.minidata.io/v9",
        "exitCode": 65,
        "novelty": {"a": [1]},
        "rows": {"read": 3, "loaded": 2, "rejected": 1, "guessed": 7},
        "errors": [{"key": "raw/a.csv", "code": "file.empty", "message": "m", "hint": "h"}],
    }

    report = RunReport.parse(json.dumps(message))

    assert report.exit_code is ExitCode.DATA
    assert report.rows == Rows(read=3, loaded=2, rejected=1)
    assert report.errors[0].code == "file.empty"


def test_reader_is_tolerant_of_an_older_run():
    """What is absent has its default."""
    report = RunReport.parse("{}")

    assert report == RunReport()
    assert (report.api_version, report.exit_code) == (REPORT_VERSION, ExitCode.DONE)


@pytest.mark.parametrize("message", ["", "{", "[]", '{"rows": 7}', '{"attempt": -1}', b"\xff"])
def test_message_that_is_no_report(message):
    """A pod that was killed leaves none, or a piece of one."""
    with pytest.raises(ValidationError):
        RunReport.parse(message)


few = st.integers(0, 10**9)


@given(*[st.builds(Rows, read=few, loaded=few, rejected=few, deduplicated=few)] * 2)
def test_rows_add_up(one, two):
    """Fate by fate."""
    both = one + two

    for fate in ("read", "loaded", "rejected", "deduplicated"):
        assert getattr(both, fate) == getattr(one, fate) + getattr(two, fate)


def test_exit_codes_are_of_sysexits():
    """The Job's pod failure policy names these numbers."""
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "DATA": 65,
        "TEMPORARY": 75,
        "CONFIGURATION": 78,
    }
