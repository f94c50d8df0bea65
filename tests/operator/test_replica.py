"""Who is told of what a replica's receiver hears: itself while it leads, else whoever leads."""

from datetime import timedelta

import pytest

from sales_operator import refusals
from sales_operator.cluster import Cluster
from sales_operator.replica import Replica
from sales_operator.settings import ObjectStore, PipelineJobs, Settings

SETTINGS = Settings(
    namespace="sales",
    object_store=ObjectStore(endpoint="http://127.0.0.1:9"),
    pipeline=PipelineJobs(image="pipeline"),
)


class Ears:
    """In place of the leader's work, or of the waker: notes what it is told."""

    def __init__(self):
        self.told = []

    def heard(self, bucket, key):
        self.told.append(("heard", bucket, key))

    def refused(self, bucket, key, _span):
        self.told.append(("refused", bucket, key))


@pytest.fixture(params=["leads", "stands by"])
def replica(request):
    made = Replica(SETTINGS, Cluster(None))
    made._lease.is_held = lambda: request.param == "leads"
    made._leading, made._waker = Ears(), Ears()
    made.acts, made.rests = made._leading, made._waker
    if request.param == "stands by":
        made.acts, made.rests = made.rests, made.acts
    return made


def test_event_is_passed_on_to_who_acts(replica):
    replica._heard("sales", "raw/a.csv")
    assert replica.acts.told == [("heard", "sales", "raw/a.csv")]
    assert replica.rests.told == []


def test_refused_event_is_nobodys_business_at_first(replica):
    replica._refused("sales", "raw/a.csv")
    assert replica.acts.told == replica.rests.told == []


def test_refusals_that_go_on_are_passed_on_to_who_acts(replica, monkeypatch):
    monkeypatch.setattr(refusals, "_LONG", timedelta(0))
    replica._refused("sales", "raw/a.csv")
    assert replica.acts.told == [("refused", "sales", "raw/a.csv")]
    assert replica.rests.told == []


def test_event_that_is_let_in_begins_a_new_count(replica, monkeypatch):
    replica._refused("sales", "raw/a.csv")
    replica._heard("sales", "raw/a.csv")
    monkeypatch.setattr(refusals, "_LONG", timedelta(microseconds=1))
    replica._refused("sales", "raw/a.csv")
    assert [what for what, *_ in replica.acts.told] == ["heard"]
