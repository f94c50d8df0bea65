"""When refused events are told of: after long, once, until one is let in."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_operator.refusals import TOKEN_REFUSED, Span, Standing, Streak
from tests.operator.making import NOW

RETRY = 3
"""Seconds after which the object store repeats what was refused."""
LONG, PAUSE = 120, 600


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def span(since, until):
    return Span(at(since), at(until))


def streak_of(*seconds):
    """What is told of refusals at these moments."""
    streak = Streak()
    return [streak.goes_on(at(moment)) for moment in seconds]


def standing_refused(since=0, until=LONG):
    standing = Standing()
    assert standing.refused(span(since, until), at(until))
    return standing


# --- one replica


def test_refusals_are_told_of_once_they_are_long():
    told = streak_of(*range(0, LONG + 2 * RETRY, RETRY))
    assert told[-3:] == [None, span(0, LONG), span(0, LONG + RETRY)]
    assert set(told[:-2]) == {None}


def test_refusals_far_apart_have_nothing_to_do_with_one_another():
    """Or the second rotation of a year would be told of at once."""
    assert set(streak_of(0, 3600, 7200)) == {None}


def test_event_that_is_let_in_ends_the_refusals_before_it():
    streak = Streak()
    for moment in range(0, LONG, RETRY):
        streak.goes_on(at(moment))
    streak.ends()
    assert streak.goes_on(at(LONG)) is None


# --- word of others


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_span_is_read_as_it_was_written(since, until):
    assert str(Span.parse(str(Span(since, until)))) == str(Span(since, until))


@given(st.text())
def test_whatever_somebody_writes_there_breaks_nothing(text):
    found = Span.parse(text)
    assert found is None or found.is_long in {True, False}


@pytest.mark.parametrize("text", ["", "now", f"{NOW.isoformat()}", "2026-03-01/2026-03-02"])
def test_what_is_no_span_is_nothing(text):
    assert Span.parse(text) is None


# --- the leader


def test_nothing_is_said_until_something_is_known():
    assert Standing().problem("Subscribed") is None


def test_refusals_are_said_until_an_event_is_let_in():
    standing = standing_refused()
    assert standing.problem("Subscribed") is TOKEN_REFUSED
    assert standing.admitted(at(LONG + 1))
    assert standing.problem("TokenRefused") is None


def test_what_goes_on_is_news_once():
    standing = standing_refused()
    assert not standing.refused(span(0, LONG + RETRY), at(LONG + RETRY))
    assert standing.problem("Subscribed") is TOKEN_REFUSED
    assert standing.admitted(at(200))
    assert not standing.admitted(at(201))


def test_refusals_are_not_said_while_another_replica_lets_events_in():
    """A rollout: the old replica refuses, the new one does not."""
    standing = Standing()
    standing.admitted(at(LONG - 1))
    assert not standing.refused(span(0, LONG), at(LONG))
    assert standing.problem("Subscribed") is None


def test_refusals_are_said_long_after_the_last_replica_let_one_in():
    standing = Standing()
    standing.admitted(at(50))
    assert not standing.refused(span(0, 50 + LONG - 1), at(50 + LONG - 1))
    assert standing.refused(span(0, 50 + LONG), at(50 + LONG))


def test_leader_that_starts_says_what_was_said_before():
    """Until it knows better: it may have been restarted to take another token."""
    standing = Standing()
    assert standing.problem("TokenRefused") is TOKEN_REFUSED
    assert standing.admitted(at(0))
    assert standing.problem("TokenRefused") is None


def test_refusals_are_said_again_after_a_pause_only():
    standing = standing_refused()
    standing.admitted(at(LONG))
    end = LONG + PAUSE
    assert not standing.refused(span(LONG + 1, end - 1), at(end - 1))
    assert standing.refused(span(LONG + 1, end), at(end))


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=50, max_size=400))
def test_stranger_who_posts_for_ever_changes_little(story):
    """However the object store's events fall between: twice in each pause, at the most."""
    standing, streak, turns, moment = Standing(), Streak(), [], 0
    for pause, is_let_in in story:
        moment += pause
        before = standing.problem("")
        if is_let_in:
            streak.ends()
            standing.admitted(at(moment))
        elif told := streak.goes_on(at(moment)):
            standing.refused(told, at(moment))
        if standing.problem("") != before:
            turns.append(moment)
    assert all(later - turn >= PAUSE for turn, later in zip(turns[1::2], turns[2::2], strict=False))
    assert len(turns) <= 2 * (moment // PAUSE + 1)


def test_message_says_where_and_what_to_do():
    for text in ("webhook.vaultPath", "events.vaultPath", "events.existingSecret", "rotation.md"):
        assert text in TOKEN_REFUSED.message
    assert len(TOKEN_REFUSED.message) < 800
