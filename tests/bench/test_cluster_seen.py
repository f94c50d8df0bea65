"""What the benchmarks of the cluster make of what API server, kubelet and operator tell them."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
import yaml

from bench.cluster import replicas
from bench.cluster.burst import event, not_launched_once
from bench.cluster.crowd import is_settled
from bench.cluster.fake_nodes import NODE, PLACEMENT, REPORT
from bench.cluster.jobs import Jobs, NotMeasuredError, ending_of, keys_of, launches_by_key
from bench.cluster.played_runs import ROWS, report
from bench.cluster.replicas import Use
from sales_api.ingest import JobOptions
from sales_api.names import REQUEST_ENV
from sales_api.report import RunReport
from sales_operator.events import created
from sales_operator.jobs import quote
from tests.docs.pages import ROOT

EXPOSITION = """\
# TYPE sales_operator_api_requests counter
sales_operator_api_requests_total{verb="POST",resource="jobs"} 3.0
sales_operator_api_requests_total{verb="PATCH",resource="salesingests"} 4.0
sales_operator_api_requests_total{verb="PUT",resource="leases"} 100.0
# TYPE sales_operator_is_leader gauge
sales_operator_is_leader 1.0
"""


def a_job(name, *keys, ending=""):
    """As a watch tells of it."""
    request = quote(json.dumps({"run": name, "objects": [{"key": key} for key in keys]}))
    env = [{"name": "OTHER", "valueFrom": {}}, {"name": REQUEST_ENV, "value": request}]
    conditions = [{"type": "SuccessCriteriaMet", "status": "True"}]
    conditions += [{"type": ending, "status": "True"}] if ending else []
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {"template": {"spec": {"containers": [{"name": "pipeline", "env": env}]}}},
        "status": {"conditions": conditions},
    }


def told(*events):
    jobs = Jobs()
    jobs.follow(events)
    return jobs


# --- Jobs -----------------------------------------------------------------------------------------


def test_a_job_is_known_by_its_objects_from_when_it_was_first_heard_of():
    """Whatever is told of it later changes how it stands, and not when it was seen."""
    first = told(("ADDED", a_job("a", "raw/x", "raw/y")))
    (before,) = first.of("raw/y")
    first.follow([("MODIFIED", a_job("a", "raw/x", "raw/y", ending="Complete"))])
    (after,) = first.of("raw/y")
    assert (before.ending, after.ending) == ("", "Complete")
    assert before.seen_at == after.seen_at
    assert first.of("raw/z") == []


def test_a_deleted_job_is_not_forgotten():
    jobs = told(("ADDED", a_job("a", "raw/x")), ("DELETED", a_job("a", "raw/x")))
    assert [job.name for job in jobs.all()] == ["a"]


def test_objects_count_once_and_launches_each():
    jobs = told(("ADDED", a_job("a", "raw/x", "raw/y")), ("ADDED", a_job("b", "raw/y")))
    assert jobs.launched() == 2
    assert launches_by_key(jobs.all()) == {"raw/x": 1, "raw/y": 2}
    assert [job.name for job in jobs.of("raw/y")] == ["a", "b"]


@pytest.mark.parametrize(
    ("endings", "wrong"),
    [
        (["Complete"], 0),
        (["Failed", "Complete"], 0),
        (["Failed"], 0),
        (["Failed", "Failed", "Complete"], 0),
        ([], 1),
        (["Complete", "Complete"], 1),
        (["Failed", "Complete", "Complete"], 1),
    ],
    ids=str,
)
def test_an_object_is_launched_once_and_again_only_after_a_failure(endings, wrong):
    """A run that failed may have done its part, so that no other one need follow."""
    made = [a_job(f"job-{n}", "raw/x", ending=ending) for n, ending in enumerate(endings)]
    jobs = told(*(("ADDED", job) for job in made), ("ADDED", a_job("other", "raw/y")))
    assert not_launched_once(jobs.all(), ["raw/x"]) == wrong


def test_what_only_announces_an_end_is_none():
    assert ending_of(a_job("a")) == ""
    assert ending_of(a_job("a", ending="Failed")) == "Failed"
    assert ending_of({}) == ""


def test_an_object_is_known_by_the_very_name_that_it_has():
    (job,) = told(("ADDED", a_job("a", "raw/$(HOME)/$$.csv"))).all()
    assert job.keys == ("raw/$(HOME)/$$.csv",)


def test_a_pod_that_is_asked_for_nothing_has_no_objects():
    assert keys_of({"spec": {"containers": [{"name": "other"}]}}) == ()


def test_waiting_ends_when_news_make_it_true():
    jobs, more = Jobs(), threading.Event()

    def events():
        yield "ADDED", a_job("a", "raw/x")
        more.wait(10)
        yield "MODIFIED", a_job("a", "raw/x", ending="Complete")
        more.clear()
        more.wait(10)

    follower = threading.Thread(target=jobs.follow, args=(events(),))
    follower.start()
    jobs.wait("it is there", lambda: jobs.launched() == 1, 10)
    assert jobs.all()[0].ending == ""
    more.set()
    jobs.wait("it ends", lambda: jobs.all()[0].ending == "Complete", 10)
    more.set()
    follower.join()


@pytest.mark.parametrize(
    ("events", "why"),
    [([], "cut off"), ([("ERROR", {"message": "too old"})], "too old"), ([("ADDED", {})], "Key")],
    ids=["cut off", "refused", "not a Job"],
)
def test_nobody_waits_for_a_watch_that_has_ended(events, why):
    with pytest.raises(NotMeasuredError, match=f"all is done: the watch of Jobs ended.*{why}"):
        told(*events).wait("all is done", lambda: False, 60)


def test_waiting_has_an_end():
    with pytest.raises(NotMeasuredError, match="all is done: not so after 0 s"):
        Jobs().wait("all is done", lambda: False, 0)


# --- the operator ---------------------------------------------------------------------------------


def test_requests_are_summed_without_those_that_only_time_brings():
    counts = replicas.counts_in(EXPOSITION) + replicas.counts_in(EXPOSITION)
    assert replicas.requests(counts) == {"POST jobs": 6, "PATCH salesingests": 8}
    assert replicas.total(counts, "sales_operator_is_leader") == 2


def test_the_operator_counts_what_the_benchmark_asks_for():
    from prometheus_client import generate_latest

    from sales_operator import metrics

    metrics.API_REQUESTS.labels(verb="POST", resource="jobs").inc(0)
    metrics.EVENTS.labels("ok").inc(0)
    names = {name for name, _ in replicas.counts_in(generate_latest(metrics.REGISTRY).decode())}
    assert {"sales_operator_api_requests_total", "sales_operator_events_total"} <= names


def summary(**more):
    cpu = {"time": "2026-11-24T18:00:00Z", "usageCoreNanoSeconds": 2_500_000_000}
    container = {"cpu": cpu, "memory": {"workingSetBytes": 64 * 2**20}} | more
    return {"pods": [{"podRef": {"name": "operator-1"}, "containers": [container]}]}


def test_a_kubelet_tells_what_a_container_uses():
    at = datetime(2026, 11, 24, 18, tzinfo=UTC).timestamp()
    assert replicas.uses_in(summary()) == [Use("operator-1", at, 2.5, 64.0)]


@pytest.mark.parametrize("more", [{"cpu": {}}, {"memory": {}}], ids=str)
def test_what_a_kubelet_has_not_looked_at_yet_is_left_out(more):
    assert replicas.uses_in(summary(**more)) == []


def test_cores_are_what_lies_between_the_first_and_the_last_look():
    uses = [Use("a", at, cpu, 1) for at, cpu in [(20, 8.0), (10, 3.0), (15, 3.5)]]
    assert replicas.cores(uses) == 0.5
    assert replicas.cores(uses[:1]) == 0


def test_uses_are_told_apart_by_pod_in_the_order_of_time():
    uses = [Use(pod, at, 0, at) for pod, at in [("a", 2), ("b", 1), ("a", 1)]]
    assert [[(use.pod, use.at) for use in pod] for pod in replicas.by_pod(uses)] == [
        [("b", 1)],
        [("a", 1), ("a", 2)],
    ]


@pytest.mark.parametrize(
    ("files", "settled"),
    [
        ([{"loaded": 2}, {"loaded": 1}], True),
        ([{"loaded": 2}, {"loaded": 1, "running": 1}], False),
        ([{"loaded": 2}, {"loaded": 1, "pending": 1}], False),
        ([{"loaded": 2}, {}], False),
    ],
)
def test_statuses_have_settled_when_all_is_counted_and_nothing_waits(files, settled):
    assert is_settled(files, 3) is settled


# --- what is played -------------------------------------------------------------------------------


def test_an_event_that_is_repeated_is_read_as_that_of_the_store():
    assert created(event("raw/burst-001/calm-0.csv")) == (("sales", "raw/burst-001/calm-0.csv"),)


def test_a_played_run_leaves_a_report_that_the_operator_understands():
    left = RunReport.parse(report(3))
    assert (left.files.loaded, left.rows.read) == (3, 3 * ROWS)
    assert left.rows.read == left.rows.loaded


def test_runs_are_sent_to_the_fake_node_by_what_an_ingest_may_say():
    options = JobOptions.model_validate(PLACEMENT)
    assert options.node_selector == {"kubernetes.io/hostname": NODE}


def test_a_played_pod_ends_by_the_annotation_that_carries_its_report():
    text = (ROOT / "bench/cluster/stages.yaml").read_text("utf-8")
    stages = {stage["metadata"]["name"]: stage["spec"] for stage in yaml.safe_load_all(text)}
    keys = [e["key"] for e in stages["pod-completes"]["selector"]["matchExpressions"]]
    assert f'.metadata.annotations["{REPORT}"]' in keys
    assert (
        f'index $pod.metadata.annotations "{REPORT}"'
        in (stages["pod-completes"]["next"]["statusTemplate"])
    )


# --- the command ----------------------------------------------------------------------------------


def bench(*arguments):
    command = [sys.executable, "-m", "bench.cluster", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "K1,K9"], "unknown are K9"),
        (["--files", "0"], "must be more than 0"),
        (["--minutes", "-1"], "must be more than 0"),
        (["--write-docs", "--out", "/nowhere/bench.json"], "No such file"),
    ],
    ids=str,
)
def test_a_wrong_word_is_refused_before_anything_is_installed(words, told):
    done = bench(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_results_of_a_quick_run_are_not_kept_beside_others(tmp_path):
    out = tmp_path / "out.json"
    out.write_text(json.dumps({"quick": True, "measurements": []}))
    done = bench("--keep", "--only", "K1", "--out", out)
    assert done.returncode == 2
    assert "results of other sizes" in done.stderr


def test_without_a_cluster_it_says_so_and_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = bench("--quick", "--only", "K1", "--out", tmp_path / "out.json")
    assert done.returncode == 1
    assert "not measured: KubeError" in done.stderr
    assert not (tmp_path / "out.json").exists()
