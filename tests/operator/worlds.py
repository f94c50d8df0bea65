"""Ingests in all states, made up by hypothesis: what was told of them, what is seen of them."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sales_api.report import MAX_ERRORS, Files, ReportedError, Rows, RunReport
from sales_operator.observed import Epoch, Outcome, Plan, Problem
from sales_operator.status import refused, status
from tests.operator.making import NOW, a_run, an_ingest, an_object, observed

PATIENT = settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
"""A world takes some milliseconds to make, and more on a machine that is busy."""

_numbers = st.integers(0, 1000)
_words = st.sampled_from(["", "raw/a.csv", "x" * 2000, "a\x1b[31m\nb"])
_names = st.integers(0, 30).map("daily-{:08d}".format)
_uids = st.integers(0, 30).map("{:08d}-0000-4000-8000-000000000000".format)
_moments = st.integers(0, 1000).map(lambda n: NOW - timedelta(seconds=n * 997))
"""None of them becomes too old for a `maxAgeHours` of 1 within a minute."""


def problems(*reasons):
    """One of these reasons, lasting or passing."""
    return st.builds(Problem, st.sampled_from(reasons), _words, st.booleans())


def reports():
    errors = st.builds(ReportedError, key=_words, code=st.just("file.empty"), message=_words)
    return st.builds(
        RunReport,
        files=st.builds(Files, loaded=_numbers, already_loaded=_numbers, quarantined=_numbers),
        rows=st.builds(Rows, read=_numbers, loaded=_numbers, rejected=_numbers),
        errors=st.lists(errors, max_size=MAX_ERRORS),
    )


@st.composite
def runs(draw):
    """A live run, or one that ended somehow, with or without a report."""
    outcome = draw(st.none() | st.sampled_from(Outcome))
    return a_run(
        outcome=outcome,
        name=draw(_names),
        uid=draw(_uids),
        created_at=NOW - timedelta(days=20),
        finished_at=draw(_moments) if outcome else None,
        report=draw(st.none() | reports()) if outcome else None,
        trouble=draw(_words),
    )


def plans():
    parked = st.lists(st.builds(an_object, st.sampled_from(["raw/a.csv", "raw/b.csv"])), max_size=2)
    return st.builds(
        Plan,
        running=_numbers,
        pending=st.integers(0, 2),
        parked=parked.map(tuple),
        parked_because=st.none() | st.sampled_from(Outcome),
    )


def specs():
    return st.fixed_dictionaries(
        {
            "suspend": st.booleans(),
            "trigger": st.fixed_dictionaries(
                {
                    "events": st.booleans(),
                    "schedule": st.sampled_from(["", "0 2 * * *", "@daily", "@every 1h"]),
                    "timeZone": st.sampled_from(["Etc/UTC", "Europe/Berlin"]),
                }
            ),
            "freshness": st.sampled_from([{}, {"maxAgeHours": 1}, {"maxAgeHours": 8000}]),
        }
    )


@st.composite
def sights(draw):
    """What is seen of an ingest of which nothing was told yet, and what was decided."""
    found = draw(st.lists(runs(), max_size=8, unique_by=(lambda r: r.uid, lambda r: r.name)))
    ingest = an_ingest(epoch=Epoch(draw(st.integers(1, 3))), **draw(specs()))
    seen = observed(
        runs=found,
        ingest=ingest,
        source=draw(st.none() | problems("Unreachable", "AccessDenied")),
        events=draw(st.none() | problems("Unreachable", "TargetUnknown")),
        schedule=draw(st.none() | problems("CronJobRefused")),
        launching=draw(st.none() | problems("JobRefused")),
    )
    return seen, draw(plans())


@st.composite
def histories(draw):
    """The same, of an ingest of which something may have been told, a refusal among it."""
    seen, plan = draw(sights())
    if draw(st.booleans()):
        earlier, decided = draw(sights())
        told = status(replace(earlier, now=NOW - timedelta(hours=2)), decided)
        if draw(st.booleans()):
            told = refused(told, 1, "spec: no", NOW - timedelta(hours=1))
        seen = with_told(seen, told)
    return seen, plan


def with_told(seen, told):
    """The same sight, of an ingest with this status."""
    return replace(seen, ingest=replace(seen.ingest, status=told))
