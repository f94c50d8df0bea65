"""However many events come, and however often: each object is run once, at the cost of its run."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.chaos import Crowd, JobWatch, Receivers, tell
from tests.e2e.ingests import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

INGESTS = 50
EVENTS_WANTED = 2000
REQUESTS_A_JOB = 12
LOOKS = "sales_operator_reconcile_total"
EVENTS = "sales_operator_events_total"
REQUESTS = "sales_operator_api_requests_total"


def test_object_whose_event_comes_again_and_again_is_run_once(installation):
    """Ten times to each replica, nine of them while it waits and runs, the last when it is done."""
    with (
        Crowd.of(installation, "again", ingests=4, each=5) as crowd,
        JobWatch.on(installation.namespace) as jobs,
        Receivers.of(installation) as receivers,
    ):
        before = receivers.sums(EVENTS, "result")["ok"]
        crowd.put()
        for _ in range(9):
            receivers.post(crowd.files)
        crowd.done(jobs)
        leader, _ = receivers.parted()
        looks = leader.sums(LOOKS, "result")["success"]
        receivers.post(crowd.files)
        until(lambda: leader.sums(LOOKS, "result")["success"] >= looks + len(crowd.names))
        told = receivers.sums(EVENTS, "result")["ok"] - before
        assert told >= 10 * len(crowd.files) * len(receivers.lines)
        crowd.done(jobs)


def test_burst_of_events_costs_requests_by_its_jobs_and_not_by_its_events(installation):
    """Two thousand events, as fast as may be, for fifty ingests: six for each object.

    Whoever stands by leaves word for the leader, at most once a second on each ingest.
    """
    with (
        Crowd.of(installation, "burst", ingests=INGESTS, each=8) as crowd,
        JobWatch.on(installation.namespace) as jobs,
        Receivers.of(installation) as receivers,
        ThreadPoolExecutor() as beside,
    ):
        leader, others = receivers.parted()
        came, looks = receivers.sums(EVENTS, "result"), leader.sums(LOOKS, "result")
        acts, wakes = (requests_of(them) for them in (leader, others))
        began = time.monotonic()
        putting = beside.submit(crowd.put)
        receivers.post([*crowd.files, *crowd.files])
        putting.result()
        seconds = time.monotonic() - began
        crowd.done(jobs)
        events = (receivers.sums(EVENTS, "result") - came)["ok"]
        acts, wakes = requests_of(leader) - acts, requests_of(others) - wakes
        looks = leader.sums(LOOKS, "result") - looks
        made = len(jobs.of(crowd.files))
    each, words = acts.total() / made, wakes["PATCH salesingests"]
    tell(f"{events} events in {seconds:.1f} s, {made} Jobs, {each:.1f} requests a Job: {acts}")
    tell(f"stand-by: {wakes}; looks: {looks}")
    assert events >= EVENTS_WANTED
    assert each <= REQUESTS_A_JOB
    assert words <= INGESTS * (seconds + 1)


def requests_of(receivers):
    """To the API server; those for the Lease are left out, which only grow with time."""
    asked = receivers.sums(REQUESTS, "verb", "resource")
    return Counter({kind: n for kind, n in asked.items() if not kind.endswith(" leases")})
