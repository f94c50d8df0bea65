"""Specs and statuses as the API server holds them: what is understood, and what is refused."""

import json
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.ingest import (
    Condition,
    ConditionStatus,
    FileCounts,
    RunSummary,
    SalesIngestSpec,
    SalesIngestStatus,
    SpecError,
    parse_spec,
    parse_status,
)
from sales_api.report import Rows
from sales_api.v1alpha1 import Processing
from tests.api.specs import BAD, GOOD, spec

SECRET = "ada@example.com"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD)
def test_a_good_spec_comes_back_as_it_was(raw):
    """Defaults written out or not, it is the same."""
    parsed = parse_spec(raw)

    assert parse_spec(dumped(parsed)) == parsed
    assert parsed == SalesIngestSpec.model_validate(raw)


def dumped(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_spec_is_refused_with_its_rule_or_field(bad):
    with pytest.raises(SpecError) as caught:
        parse_spec(bad.spec)

    assert bad.says in str(caught.value)
    assert bad.field in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        spec(source={"bucket": SECRET, "prefix": SECRET}),
        spec(trigger={"schedule": SECRET, "timeZone": SECRET}),
        spec(privacy={"email": SECRET}),
        spec(parallelism=SECRET),
        spec(notify={"email": SECRET}),
    ],
)
def test_no_value_is_quoted(raw):
    """Whoever reads the condition sees where to look, and no value."""
    with pytest.raises(SpecError) as caught:
        parse_spec(raw)

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "zone", ["Europe/Roma", "Local", "America", "europe/rome", "../etc/passwd", "", "Rome"]
)
def test_a_zone_must_exist(zone):
    """The API server cannot know; a CronJob with it would never fire."""
    with pytest.raises(SpecError, match=r"trigger\.timeZone"):
        parse_spec(spec(trigger={"timeZone": zone}))


def test_a_date_format_must_tell_a_day():
    """The other thing that the API server cannot know."""
    columns = {"order_date": {"from": "Date", "dateFormats": ["%d/%m"]}}
    with pytest.raises(SpecError, match="dateFormats"):
        parse_spec(spec(contract={"columns": columns}))


def test_fields_of_a_newer_crd_are_passed_over_at_any_depth():
    """Its defaults are in every spec, and an older operator must go on."""
    raw = spec(
        novelty={"a": [1]},
        source={"bucket": "sales", "novelty": 1},
        job={"resources": {"limits": {"gpu": "1"}}, "tolerations": [{"key": "a", "new": {}}]},
        contract={"columns": {"quantity": {"from": "n", "new": []}}},
    )

    parsed = parse_spec(raw)

    assert parsed == SalesIngestSpec.model_validate(
        spec(
            job={"resources": {"limits": {}}, "tolerations": [{"key": "a"}]},
            contract={"columns": {"quantity": {"from": "n"}}},
        )
    )


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (spec(contract={"columns": {"colour": {"from": "Colour"}}}), "contract.columns.colour"),
        (spec(privacy={"email": "Argon2"}), "privacy.email"),
    ],
)
def test_what_somebody_asked_for_is_never_passed_over(raw, field):
    """A column or a choice that is not known was not written by a default."""
    with pytest.raises(SpecError, match=field):
        parse_spec(raw)


def test_python_names_are_no_fields():
    """As the API server has it: there is one spelling of each."""
    assert parse_spec({"source": {"bucket": "sales", "quarantine_prefix": "x/"}}) == parse_spec(
        {"source": {"bucket": "sales"}}
    )


def test_a_spec_may_be_any_mapping():
    """Libraries hand out views."""
    raw = MappingProxyType({"source": MappingProxyType({"bucket": "sales"})})

    assert parse_spec(raw) == parse_spec(spec())


def test_operator_only_parts_do_not_change_the_contract():
    """Retries, Jobs and mails make no other rows of a file."""
    raw = spec(suspend=True, parallelism=9, retry={"maxAttempts": 1}, batch={"maxFiles": 1})

    assert parse_spec(raw).digest() == Processing().digest()


moments = st.none() | st.datetimes(timezones=st.just(UTC))
counts = st.integers(0, 10**15)
rows = st.builds(Rows, read=counts, loaded=counts, rejected=counts, deduplicated=counts)
runs = st.builds(
    RunSummary,
    job=st.text(max_size=20),
    attempt=counts,
    started_at=moments,
    finished_at=moments,
    outcome=st.just("Succeeded"),
    rows=rows,
)
conditions = st.builds(
    Condition,
    type=st.just("Ready"),
    status=st.sampled_from(ConditionStatus),
    observed_generation=counts,
    lastTransitionTime=st.datetimes(timezones=st.just(UTC)),  # as its signature has it
    reason=st.just("Idle"),
    message=st.text(max_size=50),
)
statuses = st.builds(
    SalesIngestStatus,
    observed_generation=counts,
    conditions=st.lists(conditions, max_size=2),
    files=st.builds(FileCounts, pending=counts, running=counts, loaded=counts),
    rows=rows,
    last_run=st.none() | runs,
    last_success_time=moments,
    next_schedule_time=moments,
    recent_runs=st.lists(runs, max_size=2),
    active_jobs=st.lists(st.text(max_size=9), max_size=3),
    counted=st.lists(st.text(max_size=9), max_size=3),
)


@given(statuses)
def test_a_status_comes_back_as_it_was_written(status):
    """The operator reads its own counters, so none may change on the way."""
    assert parse_status(json.loads(json.dumps(dumped(status)))) == status


def test_a_status_of_a_newer_operator_is_read():
    """What is known of it counts."""
    raw = {"novelty": 1, "files": {"pending": 2, "lost": 3}, "rows": {"read": 1, "guessed": 1}}

    assert parse_status(raw) == SalesIngestStatus(files=FileCounts(pending=2), rows=Rows(read=1))


@pytest.mark.parametrize(
    "raw",
    [{}, {"files": 7}, {"conditions": [{}]}, {"lastRun": {"job": "a"}}, {"rows": {"read": -1}}],
)
def test_a_status_that_makes_no_sense_is_an_empty_one(raw):
    """It was written by nobody we know; the next look writes it anew."""
    assert parse_status(raw) == SalesIngestStatus()
