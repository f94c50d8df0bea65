"""Whenever the operator is killed or frozen, whoever goes on loses nothing and does nothing twice.

The replicas are processes outside of the cluster, with the settings and the rights of its pods: no
signal that matters here can be sent to the first process of a container from within.
"""

import contextlib
import itertools
import signal
import time

import pytest

from tests.e2e.chaos import Crowd, JobWatch, tell
from tests.e2e.ingests import until
from tests.e2e.outside import Outside, Overheard

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 50
INGESTS = 25
FROZEN_SECONDS = 30
LEASE_LOST = 75


@pytest.fixture
def outside(installation, tmp_path):
    with Outside.of(installation, tmp_path) as made:
        yield made


def test_another_replica_takes_over_from_one_that_was_killed_and_from_one_that_was_stopped(outside):
    """In the Lease's duration after the one, at once after the other."""
    leader = outside.start()
    leader.leads()
    for number, limit in ((signal.SIGKILL, 25), (signal.SIGTERM, 10)):
        other = outside.start()
        until(other.is_up)
        leader.send(number)
        began = time.monotonic()
        other.leads()
        took = time.monotonic() - began
        tell(f"another replica leads {took:.1f} s after {number.name}")
        assert took < limit
        leader = other


def test_operator_that_is_killed_fifty_times_loads_each_file_once(installation, outside):
    """Each time soon after it has begun: as it creates Jobs, as they start, as they end."""
    moments = itertools.cycle((1, 2, 3, 5, 8))
    replicas = [outside.start(), outside.start()]
    with (
        Crowd.of(installation, "kill", ingests=INGESTS, each=8) as crowd,
        JobWatch.on(installation.namespace) as jobs,
    ):
        keys = list(crowd.files)
        for number in range(KILLS):
            leader = the_leader(replicas)
            jobs.hear(next(moments), seconds=3)
            assert leader.process.poll() is None
            leader.kill()
            # The files of one ingest for each kill. The next to lead finds them at once.
            crowd.put(keys[number::KILLS])
            outside.forget_holder()
            replicas = [*(one for one in replicas if one is not leader), outside.start()]
        crowd.done(jobs)
        tell(f"{len(crowd.files)} files in {len(jobs.of(crowd.files))} Jobs")


def the_leader(replicas):
    """Wait until one of them leads."""
    return until(lambda: next((one for one in replicas if one.is_leading()), None))


def test_leader_that_was_frozen_changes_nothing_when_it_goes_on(installation, outside):
    """For longer than the Lease lasts, in the middle of its work, which the other one ends."""
    with Overheard.up() as line, contextlib.ExitStack() as stack:
        leader = outside.start(at=line.url)
        leader.leads()
        crowd = stack.enter_context(Crowd.of(installation, "frozen", ingests=20, each=4))
        jobs = stack.enter_context(JobWatch.on(installation.namespace))
        keys = list(crowd.files)
        early, late = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        crowd.put(early)
        jobs.hear(1, seconds=60)
        leader.send(signal.SIGSTOP)
        frozen_at = time.monotonic()
        other = outside.start()
        crowd.put(late)
        other.leads()
        until(lambda: time.monotonic() > frozen_at + FROZEN_SECONDS)
        before = line.changes()
        leader.send(signal.SIGCONT)
        assert leader.process.wait(60) == LEASE_LOST
        assert leader.said("this replica has lost the Lease")
        assert line.changes() == before != []
        assert outside.holder() == other.name
        crowd.done(jobs)
