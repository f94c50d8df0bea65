"""What is judged well and what is not, and that each wrong comes with what to do."""

import datetime as dt

import pytest

from deploy.health import judge
from deploy.page import is_well, wrongs
from tests.deploy.objects import (
    DONE,
    NOW,
    RELEASE,
    RUNNING,
    certificate,
    claim,
    container,
    false,
    ingest,
    job,
    node,
    pod,
    true,
    well,
    workload,
)

CRASHING = container(
    "operator",
    {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}},
    restarts=6,
)
STARTING = container("operator", {"waiting": {"reason": "PodInitializing"}})
UNREADY = (true("PodScheduled"), false("Ready"))
SILENT = {"metadata": {"name": "sales"}}


def judged(**other):
    return judge(well(**other), NOW)


def row(section, **other):
    (found,) = [one for one in judged(**other) if one.section == section]
    return found


def part(*pods, ready=0, name="operator", wanted=1):
    """The one part, with these pods."""
    return row("parts", workloads=[workload(name, name, ready, wanted)], pods=list(pods))


def test_what_is_well_is_well():
    rows = judged()
    assert is_well(rows)
    sections = [
        "cluster",
        "release",
        "parts",
        "parts",
        "jobs",
        "certificates",
        "volumes",
        "ingests",
    ]
    assert [one.section for one in rows] == sections


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        ({"nodes": [node(false("Ready"))]}, "the node is not ready"),
        ({"release": None}, "not installed"),
        ({"release": RELEASE | {"status": "failed"}}, "it is failed"),
        ({"release": RELEASE | {"status": "pending-upgrade"}}, "it is pending-upgrade"),
        ({"sealed": {"vault-0": True}}, "Vault is sealed"),
        ({"sealed": {"vault-0": None}}, "Vault does not say"),
        ({"jobs": [job("a", true("Failed", reason="DeadlineExceeded"))]}, "DeadlineExceeded"),
        ({"jobs": [job("a", failed=3)]}, "3 of its pods have failed"),
        ({"certificates": {"minio-tls": certificate(6)}}, "it expires soon"),
        ({"certificates": {"minio-tls": certificate(5, ago=6)}}, "it is expired"),
        ({"certificates": {"minio-tls": b"no certificate"}}, "it cannot be read"),
        ({"claims": [claim("data-minio-0", "Pending")]}, "it is Pending"),
        ({"ingests": [SILENT]}, "the operator has not looked"),
        (
            {"ingests": [ingest("sales", false("Ready", reason="KeysRefused", message="mend"))]},
            "KeysRefused: mend",
        ),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(other, wanted):
    (line,) = wrongs(judged(**other))
    assert wanted in line
    assert line.partition(" To do: ")[2]


@pytest.mark.parametrize(
    "other",
    [
        {"jobs": [job("still-at-it")]},
        {"jobs": [job("tries-again", failed=2)]},
        {"ingests": [ingest("sales", false("Ready", reason="Suspended"))]},
        {"ingests": []},
        {"certificates": {"minio-tls": certificate(90, ago=70)}},
    ],
)
def test_what_needs_nobody_is_well(other):
    assert is_well(judged(**other))


# --- parts ----------------------------------------------------------------------------------------


def test_a_part_counts_its_own_pods_and_all_restarts_of_their_containers():
    init = container("vault-agent", DONE, restarts=2)
    server = container("server", RUNNING, restarts=3, ready=True)
    mine = pod("operator-a", "operator", server, init=[init])
    other = pod("minio-0", "minio", container("minio", RUNNING, restarts=9))
    found = part(mine, other, ready=1)
    assert found.cells["ready"] == "1/1"
    assert found.cells["restarts"] == 5
    assert found.wrong == ""


def test_a_part_says_why_it_is_not_ready():
    found = part(pod("operator-a", "operator", CRASHING, conditions=UNREADY))
    assert "operator-a, container operator: it has ended 7 times" in found.wrong
    assert "CrashLoopBackOff: back-off 5m0s restarting" in found.wrong
    assert found.mend.endswith("logs operator-a -c operator`")


def test_a_part_whose_pod_cannot_be_put_together_says_what_is_missing():
    creating = (true("PodScheduled"), false("PodReadyToStartContainers"), false("Ready"))
    rows = judged(
        workloads=[workload("minio", "minio", 0)],
        pods=[pod("minio-0", "minio", conditions=creating, phase="Pending")],
        warnings={"uid of minio-0": 'FailedMount: secret "minio-tls" not found'},
    )
    (found,) = [one for one in rows if one.section == "parts"]
    assert found.wrong == 'pod minio-0: FailedMount: secret "minio-tls" not found'
    assert "make what it names" in found.mend


def test_a_vault_that_does_not_start_says_why_and_not_only_that_it_is_silent():
    rows = judged(
        workloads=[workload("vault", "vault", 0)],
        pods=[pod("vault-0", "vault", CRASHING, conditions=UNREADY)],
        sealed={"vault-0": None},
    )
    (found,) = [one for one in rows if one.section == "parts"]
    assert "it has ended 7 times" in found.wrong


def test_a_part_that_is_scaled_to_nothing_is_not_well():
    assert part(name="postgres", ready=0, wanted=0).wrong == "it is scaled to 0"


def test_the_agent_that_holds_up_a_pod_is_named_not_who_waits_for_it():
    refused = container("vault-agent", {"terminated": {"exitCode": 1}}, restarts=1)
    found = part(pod("operator-a", "operator", STARTING, init=[refused], conditions=UNREADY))
    assert found.wrong == "vault-agent: ended with 1"


def test_a_pod_without_a_place_says_so():
    nowhere = false("PodScheduled", message="0/1 nodes are available: 1 Insufficient cpu.")
    found = part(pod("operator-a", "operator", conditions=[nowhere], phase="Pending"))
    assert found.wrong == "0/1 nodes are available: 1 Insufficient cpu."


@pytest.mark.parametrize("pods", [(), (pod("operator-a", "operator", conditions=UNREADY),)])
def test_a_part_that_is_not_ready_for_no_reason_told_is_wrong_all_the_same(pods):
    assert "ready" in part(*pods).wrong


@pytest.mark.parametrize(("sealed", "wanted"), [(True, "yes"), (False, "no"), (None, "?")])
def test_vault_tells_whether_it_is_sealed_and_no_other_part_does(sealed, wanted):
    rows = [one for one in judged(sealed={"vault-0": sealed}) if one.section == "parts"]
    assert {one.name: one.cells["sealed"] for one in rows} == {"minio": None, "vault": wanted}


# --- the rest -------------------------------------------------------------------------------------


def test_jobs_of_runs_are_not_the_installations():
    run = {"metadata": {"name": "sales-1", "labels": {}}, "status": {}}
    assert [one for one in judged(jobs=[run]) if one.section == "jobs"] == []


def test_an_ingest_shows_its_counts():
    told = row("ingests").cells
    assert list(told.values()) == ["sales", "True", 1, 2, 990, 10, "2026-11-28T15:12:40Z"]


def test_days_left_are_counted_from_now():
    later = judge(well(), NOW + dt.timedelta(days=30))
    assert [one.cells["days left"] for one in later if one.section == "certificates"] == [60]
