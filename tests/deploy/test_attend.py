"""A program that waits: ended once what it waits for cannot come, and otherwise let be."""

import itertools
import json

import pytest

from cluster.shell import ClusterError
from deploy import attend as module
from deploy.attend import ObstructedError, attend, try_anew
from deploy.sight import look
from tests.deploy.objects import true
from tests.deploy.release import job, pod, stateful, waiting

WAITING = 'trap "echo ended >>$HERE/ended; exit 1" TERM; while :; do sleep 0.1; done'
DEAF = "trap '' TERM; exec sleep 60"
FAILED = job("setup", true("Failed", reason="BackoffLimitExceeded"))
LOOK = "^get .* statefulsets,"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Looks follow each other at once, by a clock on which minutes are between them."""
    minutes = itertools.count(0.0, 120.0)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "monotonic", lambda: next(minutes))


@pytest.fixture
def release(programs, door, monkeypatch):
    """Sets what there is of a release, and what its logs say; helm waits for it."""
    programs.script("helm", WAITING)

    def set_(*objects, log="", events=()):
        mine = [labelled(one) for one in objects]
        programs.add(
            "kubectl",
            (LOOK, json.dumps({"items": mine}), 0),
            ("^get .* events", json.dumps({"items": list(events)}), 0),
            ("^logs", log, 0),
        )

    return set_


def labelled(one):
    """As of the release that the door leads to."""
    one["metadata"].get("labels", {})["app.kubernetes.io/instance"] = "t"
    return one


def broken(reason="ErrImageNeverPull"):
    return [stateful("minio"), pod("minio-0", "minio", waiting("minio", reason))]


def test_a_program_that_ends_well_is_let_be(programs, door, release):
    release(*broken())
    programs.script("helm", "echo done")
    attend(door, door.helm_words("upgrade"))
    assert programs.calls("helm") == ["helm upgrade --kube-context=kind-trial --namespace=trial"]


def test_one_that_fails_is_told_with_its_last_words(programs, door):
    programs.script("helm", "seq 100; echo no such chart >&2; exit 3")
    with pytest.raises(ClusterError, match=r"exit code 3\n(  \| \d+\n)+  \| no such chart$"):
        attend(door, door.helm_words("upgrade"))


def test_what_cannot_come_ends_it_cleanly_and_is_told(programs, door, release):
    release(FAILED, pod("setup-a", "setup", waiting("setup", "Error"), phase="Failed"), log="hear")
    with pytest.raises(ObstructedError) as raised:
        attend(door, door.helm_words("upgrade"))
    assert (programs.folder / "ended").read_text() == "ended\n"
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("Job setup: BackoffLimitExceeded")
    assert lines[1:3] == ["  where: namespace trial of kind-trial", "  To do: its log says why."]
    assert lines[3:5] == ["  pod setup-a, container setup:", "    | hear"]
    assert "run `make up` again" in lines[-1]


def test_all_that_stands_in_the_way_is_told_replicas_once(door, release):
    others = [pod(f"vault-{n}", "vault", waiting("vault", "InvalidImageName")) for n in range(3)]
    for one in others:
        one["metadata"]["generateName"] = "vault-"
    release(*broken(), stateful("vault"), *others)
    with pytest.raises(ObstructedError) as raised:
        attend(door, door.helm_words("upgrade"))
    told = str(raised.value)
    assert [told.count(f"pod {name}-0, ") for name in ("minio", "vault")] == [1, 1]
    assert "vault-1" not in told


def test_one_that_does_not_hear_is_killed(programs, door, release, monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    release(*broken())
    programs.script("helm", DEAF)
    with pytest.raises(ObstructedError):
        attend(door, door.helm_words("upgrade"))


def test_whoever_interrupts_leaves_nothing_running(programs, door, release, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    release()
    monkeypatch.setattr(module, "look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        attend(door, door.helm_words("upgrade"))
    assert (programs.folder / "ended").exists()


def test_what_is_not_ready_yet_is_told_once(programs, door, release, capsys):
    release(stateful("minio"), job("bootstrap"))
    programs.script("helm", 'while [ "$(grep -c statefulsets "$HERE/calls")" -lt 3 ]; do :; done')
    attend(door, door.helm_words("upgrade"))
    assert capsys.readouterr().err == "       not ready yet: minio 0/1, bootstrap\n"


def test_a_pod_of_before_that_cannot_start_makes_room(programs, door, release):
    release(
        stateful("minio"), pod("minio-0", "minio", waiting("minio", "ErrImagePull"), revision="old")
    )
    programs.script("helm", 'until grep -q "^kubectl delete" "$HERE/calls"; do :; done')
    attend(door, door.helm_words("upgrade"))
    assert programs.calls("kubectl delete ")[0].split()[-4:-2] == ["pod", "minio-0"]


def test_what_could_not_start_before_is_replaced(programs, door, release):
    release(*broken(), stateful("postgres"), pod("postgres-0", "postgres"))
    try_anew(door)
    (deleted,) = programs.calls("kubectl delete ")
    assert deleted.split()[-4:-2] == ["pod", "minio-0"]


def test_a_cluster_that_does_not_answer_for_a_while_is_no_obstacle(programs, door):
    programs.add("kubectl", ("", "connection refused", 1))
    programs.script("helm", 'while [ "$(grep -c ^kubectl "$HERE/calls")" -lt 2 ]; do :; done')
    attend(door, door.helm_words("upgrade"))


def test_the_last_warning_about_an_object_is_what_is_told(door, release):
    def event(message, **at):
        return {"involvedObject": {"uid": "u"}, "reason": "FailedMount", "message": message, **at}

    later = event("b", lastTimestamp="2026-11-28T15:02:00Z")
    earlier = event("a", lastTimestamp=None, eventTime="2026-11-28T15:01:00.5Z")
    release(stateful("minio"), events=[later, earlier])
    found = look(door)
    assert [one["metadata"]["name"] for one in found.workloads] == ["minio"]
    assert found.warnings == {"u": "FailedMount: b"}
