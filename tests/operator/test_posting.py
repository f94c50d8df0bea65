"""Kubernetes Events: one for each notice, however often it is posted."""

import re
from datetime import timedelta

import pytest

from sales_operator.observed import IngestKey, Notice
from sales_operator.posting import event
from tests.operator.making import NOW

KEY = IngestKey("sales", "daily")
FAILED = Notice("RunFailed", "exit code 75", is_warning=True, about="daily-1")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""What the API server takes, with at most 253 characters."""


def posted(notice=FAILED, key=KEY, uid="u1", now=NOW):
    return event(key, uid, notice, now)


def name_of(*args, **kwargs):
    return posted(*args, **kwargs)["metadata"]["name"]


def test_event_is_about_the_ingest():
    assert posted()["involvedObject"] == {
        "apiVersion": "minidata.io/v1alpha1",
        "kind": "SalesIngest",
        "name": "daily",
        "namespace": "sales",
        "uid": "u1",
    }
    assert posted()["metadata"]["namespace"] == "sales"


def test_event_says_what_the_notice_says():
    made = posted()
    assert (made["reason"], made["message"]) == ("RunFailed", "exit code 75")


@pytest.mark.parametrize(("is_warning", "kind"), [(True, "Warning"), (False, "Normal")])
def test_warning_is_a_warning(is_warning, kind):
    assert posted(Notice("Any", "text", is_warning=is_warning))["type"] == kind


def test_moment_is_written_as_kubernetes_does():
    assert posted()["firstTimestamp"] == posted()["lastTimestamp"] == "2026-03-01T12:00:00Z"


def test_same_notice_has_the_same_name_whenever_and_however_it_is_worded():
    other = Notice("RunFailed", "said otherwise", about="daily-1")
    assert name_of(other, now=NOW + timedelta(hours=1)) == name_of()


@pytest.mark.parametrize(
    "other",
    [
        {"notice": Notice("RunFailed", "exit code 75", about="daily-2")},
        {"notice": Notice("RunSucceeded", "exit code 75", about="daily-1")},
        {"uid": "its successor of the same name"},
    ],
)
def test_other_notice_has_another_name(other):
    assert name_of(**other) != name_of()


@pytest.mark.parametrize(
    "name", ["a", "a" * 253, "a." * 126 + "a", "a-" * 126 + "a", "a" * 235 + ".-".join("bcdefg")]
)
def test_name_is_one_that_the_api_server_takes(name):
    made = name_of(key=IngestKey("sales", name))
    assert len(made) <= 253
    assert NAME.fullmatch(made)


def test_ingests_of_long_names_that_begin_alike_do_not_share_events():
    first, second = (name_of(uid=uid, key=IngestKey("sales", "a" * 253)) for uid in ("u1", "u2"))
    assert first != second


def test_long_message_is_cut_to_what_an_event_may_hold():
    assert len(posted(Notice("Any", "x" * 5000))["message"]) == 1024
