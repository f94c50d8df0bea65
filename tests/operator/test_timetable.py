"""The next run is told as Kubernetes will fire it, whatever clocks do."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sales_operator.timetable import next_time

BERLIN = "Europe/Berlin"
"""In 2026 clocks go from 2:00 to 3:00 on 29 March, and from 3:00 to 2:00 on 25 October."""


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def after(moment, schedule, zone="Etc/UTC"):
    found = next_time(schedule, zone, utc(moment))
    return found and found.strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        ("0 2 * * *", "03-02 02:00"),
        ("*/5 * * * *", "03-01 12:05"),
        ("30 12 * * *", "03-01 12:30"),
        ("0 9 * jan-mar mon,FRI", "03-02 09:00"),
        ("0 0 29 2 *", "02-29 00:00"),
        ("0 0 ? * ?", "03-02 00:00"),
        ("@yearly", "01-01 00:00"),
        ("@annually", "01-01 00:00"),
        ("@monthly", "04-01 00:00"),
        ("@weekly", "03-08 00:00"),
        ("@daily", "03-02 00:00"),
        ("@midnight", "03-02 00:00"),
        ("@hourly", "03-01 13:00"),
    ],
)
def test_the_next_time_of_a_schedule(schedule, want):
    assert after("2026-03-01 12:00:30", schedule) == want


def test_the_very_moment_is_not_the_next_one():
    assert after("2026-03-01 02:00", "0 2 * * *") == "03-02 02:00"


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        ("0 0 */10 * mon", "03-01 00:00"),
        ("0 0 15 * */2", "03-01 00:00"),
        ("0 0 * * 1/2", "03-02 00:00"),
        ("0 0 */1 * mon", "03-02 00:00"),
        ("0 0 2 * *", "03-02 00:00"),
    ],
)
def test_days_of_month_and_of_week_go_together_as_in_kubernetes(schedule, want):
    """Only a plain star asks for both; 1 March 2026 is a Sunday."""
    assert after("2026-02-28 12:00", schedule) == want


@pytest.mark.parametrize(
    "schedule", ["", "nonsense", "0 2 * *", "0 0 2 * * *", "99 2 * * *", "@every 1h", "0 2 30 2 *"]
)
def test_what_is_no_schedule_or_never_fires_has_no_next_time(schedule):
    assert after("2026-03-01 12:00", schedule) is None


@pytest.mark.parametrize("zone", ["No/Where", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_has_no_next_time(zone):
    assert after("2026-03-01 12:00", "0 2 * * *", zone) is None


@pytest.mark.parametrize(
    ("now", "want"),
    [("2026-03-01 00:30", "03-01 01:00"), ("2026-07-01 00:30", "07-02 00:00")],
)
def test_a_schedule_is_meant_in_its_zone_and_told_in_utc(now, want):
    assert after(now, "0 2 * * *", BERLIN) == want


def test_a_time_that_clocks_leave_out_is_passed_over():
    assert after("2026-03-29 00:30", "30 2 * * *", BERLIN) == "03-30 00:30"


def test_a_time_that_comes_twice_counts_twice():
    assert after("2026-10-25 00:00", "30 2 * * *", BERLIN) == "10-25 00:30"
    assert after("2026-10-25 00:30", "30 2 * * *", BERLIN) == "10-25 01:30"
    assert after("2026-10-25 01:30", "30 2 * * *", BERLIN) == "10-26 01:30"


@pytest.mark.parametrize("day", ["2026-03-29 00:00", "2026-10-25 00:00", "2026-03-01 00:00"])
def test_every_half_hour_is_every_half_hour_whatever_clocks_do(day):
    moment = utc(day)
    for _ in range(12):
        following = next_time("*/30 * * * *", BERLIN, moment)
        assert following - moment == timedelta(minutes=30)
        moment = following


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(["0 2 * * *", "30 2 * * *", "*/20 * * * *", "15 */6 * * 0"]),
    st.sampled_from([BERLIN, "America/St_Johns", "Australia/Lord_Howe", "Etc/UTC"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - in UTC below
    st.integers(0, 10**4),
)
def test_the_next_time_stays_until_it_has_come(schedule, zone, naive, seconds):
    now = naive.replace(tzinfo=UTC)
    found = next_time(schedule, zone, now)
    assert found > now
    later = now + timedelta(seconds=seconds)
    assert later >= found or next_time(schedule, zone, later) == found
