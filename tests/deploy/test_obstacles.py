"""What is held to stand in the way of a release, and what only takes its time."""

import pytest

from deploy.obstacles import (
    FAILURES,
    IMAGE_SECONDS,
    SETTLING_SECONDS,
    broken,
    certain,
    left_behind,
    obstacles,
    since,
    unready,
)
from tests.deploy.objects import DONE, RUNNING, container, false, true
from tests.deploy.release import (
    CREATING,
    UNREADY,
    claim,
    deployment,
    job,
    pod,
    replica_set,
    sight,
    stateful,
    vault,
    waiting,
)

NOWHERE = false("PodScheduled", reason="Unschedulable", message="0/1 nodes are available")
ON_VOLUME = [{"persistentVolumeClaim": {"claimName": "data-minio-0"}}]
CRASHING = waiting("minio", "CrashLoopBackOff", "back-off 40s", restarts=FAILURES)
FAILED = true("Failed", reason="PodFailurePolicy", message="exit code 78")


def minio(*containers, **more):
    """The store, and its one pod."""
    return [stateful("minio"), pod("minio-0", "minio", *containers, **more)]


def only(*objects, **more):
    (found,) = obstacles(sight(*objects, **more))
    return found


@pytest.mark.parametrize(
    ("objects", "at", "why"),
    [
        (
            minio(waiting("minio", "ErrImageNeverPull")),
            "pod minio-0, container minio",
            "ErrImageNeverPull: no such thing",
        ),
        (minio(waiting("minio", "InvalidImageName")), "pod minio-0, container minio", "Invalid"),
        (
            minio(waiting("minio", "CreateContainerConfigError", 'secret "a" not found')),
            "pod minio-0, container minio",
            'secret "a" not found',
        ),
        (minio(CRASHING), "pod minio-0, container minio", "ended 4 times, the last with 2"),
        (minio(conditions=[NOWHERE], phase="Pending"), "pod minio-0", "0/1 nodes are available"),
        ([job("setup", FAILED)], "Job setup", "PodFailurePolicy: exit code 78"),
        ([job("bootstrap", failed=FAILURES)], "Job bootstrap", "3 of its pods have failed"),
        (
            [*minio(volumes=ON_VOLUME), claim("data-minio-0", "Pending")],
            "volume data-minio-0",
            "Pending",
        ),
    ],
)
def test_what_stands_in_the_way_is_told_with_what_to_do(objects, at, why):
    found = only(*objects)
    assert found.at == at
    assert why in found.why
    assert found.mend
    assert found.patience >= SETTLING_SECONDS


@pytest.mark.parametrize(
    "objects",
    [
        minio(container("minio", RUNNING)),
        minio(waiting("minio", "PodInitializing")),
        minio(waiting("minio", "ContainerCreating")),
        minio(waiting("minio", "CrashLoopBackOff", restarts=FAILURES - 1)),
        minio(container("minio", RUNNING, restarts=9)),
        minio(conditions=CREATING),
        [claim("data-of-another", "Pending")],
        [*minio(volumes=ON_VOLUME), claim("data-minio-0", "Bound")],
        [job("bootstrap", failed=FAILURES - 1)],
        [job("bootstrap", failed=FAILURES, succeeded=1)],
        [job("run-of-the-operator", FAILED, helm=False)],
        [job("bootstrap"), pod("a", "bootstrap", waiting("main", "ErrImagePull"), phase="Failed")],
    ],
)
def test_what_only_takes_its_time_does_not(objects):
    assert obstacles(sight(*objects)) == []


def test_a_pod_that_cannot_be_put_together_says_why():
    warnings = {"minio-0": 'FailedMount: secret "minio-tls" not found'}
    found = only(*minio(conditions=CREATING), warnings=warnings)
    assert (found.at, found.why) == ("pod minio-0", warnings["minio-0"])
    assert obstacles(sight(*minio(conditions=UNREADY), warnings=warnings)) == []


def test_what_may_make_no_pod_says_why():
    warnings = {"operator-a": "FailedCreate: violates PodSecurity", "bootstrap": "FailedCreate: x"}
    objects = [deployment("operator"), replica_set("operator-a", "operator", replicas=0)]
    assert only(*objects, warnings=warnings).at == "ReplicaSet operator-a"
    assert only(job("bootstrap"), warnings=warnings).at == "Job bootstrap"
    made = [objects[0], replica_set("operator-a", "operator"), job("bootstrap", active=1)]
    assert obstacles(sight(*made, warnings=warnings)) == []


def test_a_job_tells_whose_log_says_why():
    ended = container("setup", {"terminated": {"exitCode": 78}})
    pods = [
        pod(name, "setup", container("agent", DONE), ended, phase="Failed", created=created)
        for name, created in [
            ("setup-b", "2026-11-28T15:02:00Z"),
            ("setup-a", "2026-11-28T15:01:00Z"),
        ]
    ]
    assert only(job("setup", FAILED), *pods).log == ("setup-b", "setup")


# --- agents, which wait for Vault -----------------------------------------------------------------


def agent(tried):
    return minio(waiting("vault-agent", "CrashLoopBackOff", restarts=5, tried=tried))


@pytest.mark.parametrize(
    ("of_vault", "tried", "told"),
    [
        ({}, "2026-11-28T15:09:00Z", False),
        ({"ready_since": "2026-11-28T15:00:10Z"}, "2026-11-28T15:09:00Z", False),
        ({"setup_since": "2026-11-28T15:00:10Z"}, "2026-11-28T15:09:00Z", False),
        (
            {"ready_since": "2026-11-28T15:00:10Z", "setup_since": "2026-11-28T15:05:00Z"},
            "2026-11-28T15:05:10Z",
            False,
        ),
        (
            {"ready_since": "2026-11-28T15:05:00Z", "setup_since": "2026-11-28T15:00:10Z"},
            "2026-11-28T15:05:20Z",
            True,
        ),
        ({"ready_since": "2026-11-28T15:00:10Z", "complete": True}, "2026-11-28T15:00:30Z", True),
    ],
)
def test_an_agent_may_fail_until_vault_lets_it_in(of_vault, tried, told):
    found = obstacles(sight(*vault(**of_vault), *agent(tried)))
    assert [one.at for one in found] == ["pod minio-0, container vault-agent"] * told


def test_an_agent_of_a_vault_elsewhere_waits_for_nobody_here():
    assert only(*agent("2026-11-28T15:00:00Z")).log == ("minio-0", "vault-agent")


# --- what was there before ------------------------------------------------------------------------


BROKEN = waiting("main", "ImagePullBackOff")


def test_pods_of_before_are_on_their_way_out():
    objects = [
        deployment("operator"),
        replica_set("operator-old", "operator", revision="1"),
        replica_set("operator-new", "operator"),
        pod("operator-old-a", "operator-old", BROKEN),
        pod("operator-new-a", "operator-new"),
        stateful("minio"),
        pod("minio-0", "minio", BROKEN, revision="old"),
    ]
    assert obstacles(sight(*objects)) == []
    newest = pod("operator-new-b", "operator-new", BROKEN)
    assert only(*objects, newest).at == "pod operator-new-b, container main"


def test_nothing_is_held_against_a_part_that_has_just_been_changed():
    assert obstacles(sight(stateful("minio", seen=1), pod("minio-0", "minio", BROKEN))) == []


def test_a_pod_that_is_told_to_end_does_not_count():
    ending = pod("minio-0", "minio", BROKEN)
    ending["metadata"]["deletionTimestamp"] = "2026-11-28T15:00:00Z"
    assert obstacles(sight(stateful("minio"), ending)) == []


@pytest.mark.parametrize(
    ("container_", "more", "wanted"),
    [
        (BROKEN, {}, ["minio-0"]),
        (waiting("main", "PodInitializing"), {}, []),
        (BROKEN, {"revision": "old"}, []),
        (BROKEN, {"policy": "OnDelete"}, []),
        (BROKEN, {"seen": 1}, []),
    ],
)
def test_a_pod_that_keeps_its_successor_from_coming_is_found(container_, more, wanted):
    found = sight(stateful("minio", **more), pod("minio-0", "minio", container_, revision="old"))
    assert left_behind(found) == wanted


def test_what_could_not_start_before_is_found_to_be_tried_anew():
    objects = [
        deployment("operator"),
        replica_set("operator-old", "operator", revision="1"),
        replica_set("of-somebody-else", "another"),
        pod("operator-old-a", "operator-old", CRASHING),
        pod("of-somebody-else-a", "of-somebody-else", CRASHING),
        stateful("minio"),
        pod("minio-0", "minio", BROKEN),
        stateful("postgres"),
        pod("postgres-0", "postgres", waiting("main", "PodInitializing")),
        job("bootstrap"),
        pod("bootstrap-a", "bootstrap", BROKEN),
    ]
    assert set(broken(sight(*objects))) == {"minio-0", "operator-old-a"}


# --- certainty, and progress ----------------------------------------------------------------------


def test_only_what_lasts_is_certain():
    pulling = [
        only(*minio(waiting("minio", reason))) for reason in ("ErrImagePull", "ImagePullBackOff")
    ]
    seen = since({}, pulling[:1], 100.0)
    assert certain(seen, pulling[:1], 100.0) == []
    # In other words, it is still the same.
    seen = since(seen, pulling[1:], 100.0 + IMAGE_SECONDS)
    assert certain(seen, pulling[1:], 100.0 + IMAGE_SECONDS) == pulling[1:]


def test_what_was_gone_for_a_while_begins_anew():
    found = [only(*minio(CRASHING))]
    seen = since(since(since({}, found, 0.0), [], 5.0), found, 20.0)
    assert certain(seen, found, 20.0) == []
    assert certain(seen, found, 20.0 + SETTLING_SECONDS) == found


def test_what_is_not_ready_yet_is_told():
    objects = [
        stateful("minio", ready=1),
        stateful("postgres"),
        stateful("changed", ready=1, seen=1),
        stateful("half-way", ready=1, updated=0),
        stateful("vault", ready=1, updated=0, policy="OnDelete"),
        job("bootstrap"),
        job("setup", true("Complete")),
        job("run-of-the-operator", helm=False),
    ]
    assert unready(sight(*objects)) == ["postgres 0/1", "changed 1/1", "half-way 0/1", "bootstrap"]
