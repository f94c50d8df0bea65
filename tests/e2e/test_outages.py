"""What comes while parts of the platform are away is loaded once they are back, and once only."""

import time

import pytest

from tests.e2e.chaos import RESYNC_SECONDS, Crowd, JobWatch, Receivers, tell
from tests.e2e.ingests import away, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


def test_files_that_came_while_no_replica_ran_are_found_within_one_resync(installation):
    namespace = installation.namespace
    with (
        Crowd.of(installation, "down", ingests=5, each=20) as crowd,
        JobWatch.on(namespace) as jobs,
    ):
        with away(namespace, "deployment/operator", 2):
            seconds = crowd.put()
            assert jobs.of(crowd.files) == []
        tell(f"{len(crowd.files)} files put in {seconds:.1f} s while nobody heard of them")
        jobs.launched(crowd.files, RESYNC_SECONDS)
        crowd.done(jobs)


def test_events_that_the_object_store_kept_over_its_restart_are_delivered(installation):
    namespace = installation.namespace
    with (
        Crowd.of(installation, "kept", ingests=3, each=10) as crowd,
        JobWatch.on(namespace) as jobs,
    ):
        with away(namespace, "deployment/operator", 2):
            crowd.put()
            namespace.kubectl("delete", "pod", "minio-0", timeout=120)
            came_back = ("rollout", "status", "statefulset/minio", "--timeout=120s")
            namespace.kubectl(*came_back, timeout=130)
        with Receivers.of(installation) as receivers:
            began = time.monotonic()
            until(lambda: delivered(receivers) >= len(crowd.files))
            tell(f"events delivered after {time.monotonic() - began:.1f} s")
        crowd.done(jobs)


def delivered(receivers):
    """How many events the receivers have taken in, of both targets."""
    return receivers.sums("sales_operator_events_total", "result")["ok"]
