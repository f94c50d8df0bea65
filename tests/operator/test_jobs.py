"""Manifests of Jobs: whole ones against golden files, and what must hold of every one."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sales_api import names
from sales_api.request import ObjectRef, RunRequest
from sales_operator import jobs
from sales_operator.observed import Epoch, Ingest, Launch
from sales_operator.settings import ConfigVolume, PipelineJobs
from tests.operator.making import an_ingest, an_object

GOLDEN = Path(__file__).parent / "golden"
MI = 1024**2
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
NAMES = ("daily", "eu.daily.sales", "a" * 43 + ".b", "x" * 253, "a" * 51 + "-b")

PLAIN = PipelineJobs(image="registry.example/sales-pipeline:1.0")
INSTALLED = PipelineJobs(
    image="registry.example/sales-pipeline@sha256:" + "0" * 64,
    image_pull_policy="Always",
    image_pull_secrets=["registry"],
    service_account="loader",
    run_as_user=20001,
    run_as_group=2000,
    environment={"SALES_DB_HOST": "postgres", "SALES_S3_CA_FILE": "/ca/ca.crt"},
    volumes=[
        ConfigVolume(
            name="sales-pipeline-database", kind="Secret", mount_path="/vault/secrets/database"
        ),
        ConfigVolume(name="minidata-ca", kind="ConfigMap", mount_path="/ca"),
    ],
)


def launch(*objects: ObjectRef, attempt: int = 1) -> Launch:
    """A batch of these objects, or of one."""
    return Launch(objects or (an_object(),), attempt)


def everything(**spec: Any) -> Ingest:
    """An ingest that uses each field that shows in a manifest."""
    options = {
        "resources": {
            "requests": {"cpu": "1", "memory": "1Gi"},
            "limits": {"cpu": "2", "memory": "2Gi"},
        },
        "activeDeadlineSeconds": 7200,
        "ttlSecondsAfterFailed": 172_800,
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "batch",
        "labels": {"kueue.x-k8s.io/queue-name": "loads", names.LABEL_INGEST: "another"},
        "annotations": {"example.com/team": "sales", names.ANNOTATION_GENERATION: "99"},
    }
    return an_ingest(epoch=Epoch(7, "again"), job=options, **spec)


def sweeping(**spec: Any) -> dict[str, Any]:
    """The CronJob of an ingest of this spec, which has a schedule."""
    made = jobs.cron_job(an_ingest(**spec), PLAIN)
    assert made
    return made


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The spec of the pods of a Job or a CronJob."""
    spec = manifest["spec"]
    found: dict[str, Any] = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]
    return found


def environment_of(manifest: dict[str, Any]) -> dict[str, str]:
    """What the manifest says of each variable, word for word."""
    env = pod_of(manifest)["containers"][0]["env"]
    return {variable["name"]: variable.get("value", "") for variable in env}


def scratch_of(*objects: ObjectRef) -> int:
    """How many MiB the batch of these objects may keep on disk."""
    manifest = jobs.job(an_ingest(), launch(*objects), PLAIN)
    limit = pod_of(manifest)["volumes"][0]["emptyDir"]["sizeLimit"]
    return int(limit.removesuffix("Mi"))


def assert_golden(manifest: dict[str, Any], name: str) -> None:
    """Compare as text, so that a difference is shown by lines.

    A difference that is meant: WRITE_GOLDEN=yes writes the files anew, for a look at what git
    says of them.
    """
    written = yaml.safe_dump(json.loads(json.dumps(manifest)), sort_keys=False, width=100)
    if os.environ.get("WRITE_GOLDEN"):
        (GOLDEN / name).write_text(written, "utf-8")
    assert written == (GOLDEN / name).read_text("utf-8")


# --- whole manifests


def test_the_job_of_a_plain_ingest() -> None:
    assert_golden(jobs.job(an_ingest(), launch(), PLAIN), "job.yaml")


def test_the_job_of_an_ingest_that_asks_for_everything() -> None:
    objects = [an_object("raw/a.csv.gz", size=100 * MI, version_id="v1"), an_object("raw/b.csv")]
    made = jobs.job(everything(), launch(*objects, attempt=3), INSTALLED)
    assert_golden(made, "job-everything.yaml")


def test_the_cron_job() -> None:
    spec: dict[str, Any] = {
        "trigger": {"schedule": "30 1 * * *", "timeZone": "Europe/Berlin"},
        "suspend": True,
    }
    made = jobs.cron_job(everything(**spec), INSTALLED)
    assert made
    assert_golden(made, "cronjob.yaml")


# --- names and labels


@pytest.mark.parametrize("name", NAMES)
def test_names_fit_what_kubernetes_makes_of_them(name: str) -> None:
    """A Job's pods add 6 characters to its name, a CronJob's Jobs 11; both are DNS labels."""
    ingest = an_ingest(name=name)
    job_name, cron_name = jobs.job_name(ingest, launch()), jobs.cron_job_name(ingest)
    assert DNS_LABEL.fullmatch(job_name)
    assert len(job_name) + 6 <= 63
    assert DNS_LABEL.fullmatch(cron_name)
    assert len(cron_name) + 11 <= 63


def test_cron_jobs_of_two_ingests_never_share_a_name() -> None:
    several = ["eu.daily", "eu-daily", "x" * 60 + "a", "x" * 60 + "b", "x" * 52]
    assert len({jobs.cron_job_name(an_ingest(name=name)) for name in several}) == len(several)


@pytest.mark.parametrize("name", [*NAMES, "a" * 62 + ".b"])
def test_the_label_of_an_ingest_is_a_valid_one(name: str) -> None:
    made = jobs.job(an_ingest(name=name), launch(), PLAIN)
    assert LABEL_VALUE.fullmatch(made["metadata"]["labels"][names.LABEL_INGEST])


def test_the_same_launch_has_the_same_name_in_whatever_order_its_objects_come() -> None:
    a, b = an_object("raw/a.csv"), an_object("raw/b.csv")
    assert jobs.job_name(an_ingest(), launch(a, b)) == jobs.job_name(an_ingest(), launch(b, a))


def test_a_launch_that_differs_in_anything_has_another_name() -> None:
    """Or it would be taken for one that has been made already, and never happen."""
    base, newer = an_ingest(), an_object().modified_at.replace(microsecond=1)
    several = [
        jobs.job_name(base, launch()),
        jobs.job_name(base, launch(attempt=2)),
        jobs.job_name(base, launch(an_object("raw/b.csv"))),
        jobs.job_name(base, launch(an_object(etag="e2"))),
        jobs.job_name(base, launch(an_object(version_id="v2"))),
        jobs.job_name(base, launch(an_object(modified_at=newer))),
        jobs.job_name(an_ingest(epoch=Epoch(2)), launch()),
        jobs.job_name(an_ingest(epoch=Epoch(1, "now")), launch()),
    ]
    assert len(set(several)) == len(several)


def test_pods_carry_the_labels_and_annotations_of_their_job() -> None:
    made = jobs.job(everything(), launch(), PLAIN)
    template = made["spec"]["template"]["metadata"]
    assert template["labels"] == made["metadata"]["labels"]
    assert template["annotations"] == made["metadata"]["annotations"]


def test_a_user_cannot_take_a_job_away_from_its_ingest() -> None:
    """Labels and annotations by which the operator knows its Jobs are its own."""
    metadata = jobs.job(everything(), launch(), PLAIN)["metadata"]
    assert metadata["labels"][names.LABEL_INGEST] == "daily"
    assert metadata["annotations"][names.ANNOTATION_GENERATION] == "7"


def test_a_sweep_can_be_told_from_a_run() -> None:
    run, sweep = jobs.job(an_ingest(), launch(), PLAIN), sweeping()
    assert run["metadata"]["labels"][jobs.LABEL_COMPONENT] == "run"
    template = sweep["spec"]["jobTemplate"]["metadata"]
    assert template["labels"][jobs.LABEL_COMPONENT] == jobs.SWEEP


# --- the request


def expanded(value: str, **variables: str) -> str:
    """A variable's value as the kubelet hands it over, by the rules of the documentation."""
    reference = re.compile(r"\$\$|\$\(([A-Za-z0-9_]+)\)")
    return reference.sub(lambda m: "$" if m[0] == "$$" else variables.get(m[1], m[0]), value)


def test_the_request_arrives_as_it_was_meant() -> None:
    """Kubernetes replaces $(NAME) and $$ in the values of variables; keys may hold either."""
    key = "raw/$(TMPDIR)/$$/$$(x)/$.csv"
    made = jobs.job(an_ingest(format={"nullValues": ["$(TMPDIR)"]}), launch(an_object(key)), PLAIN)
    text = expanded(environment_of(made)[names.REQUEST_ENV], TMPDIR="/tmp")
    arrived = RunRequest.from_json(text)
    assert arrived.objects == [an_object(key)]
    assert arrived.format.null_values == ["$(TMPDIR)"]


def test_the_request_holds_what_of_the_spec_decides_about_rows() -> None:
    spec: dict[str, Any] = {
        "source": {"bucket": "sales", "prefix": "raw/x/"},
        "format": {"delimiter": ";"},
        "contract": {"costFactor": "0.5"},
        "quality": {"maxRejectedRatio": "0.1"},
        "privacy": {"customerName": "Drop"},
    }
    ingest = an_ingest(**spec)
    asked = jobs.request(ingest, "run-1", [an_object()], attempt=2)
    assert asked.digest() == ingest.spec.digest()
    assert (asked.ingest, asked.run, asked.attempt) == ("sales/daily", "run-1", 2)
    assert asked.source == ingest.spec.source


def test_a_job_knows_itself_by_its_own_name() -> None:
    made = jobs.job(an_ingest(), launch(), PLAIN)
    asked = RunRequest.from_json(environment_of(made)[names.REQUEST_ENV])
    assert asked.run == made["metadata"]["name"]


def test_each_sweep_is_known_by_the_name_of_its_own_job() -> None:
    """And nothing else that reads like a variable is replaced in its request."""
    made = sweeping(format={"nullValues": ["$(JOB_NAME)", '"run":"$(JOB_NAME)"']})
    text = expanded(environment_of(made)[names.REQUEST_ENV], JOB_NAME="daily-29366520")
    asked = RunRequest.from_json(text)
    assert asked.run == "daily-29366520"
    assert asked.format.null_values == ["$(JOB_NAME)", '"run":"$(JOB_NAME)"']
    assert asked.objects == []


def test_a_variable_is_defined_before_the_request_that_names_it() -> None:
    """Kubernetes knows only variables that stand further up."""
    order = list(environment_of(sweeping()))
    assert order.index("JOB_NAME") < order.index(names.REQUEST_ENV)


def test_an_installation_cannot_send_the_report_astray() -> None:
    odd = PLAIN.model_copy(update={"environment": {"SALES_TERMINATION_LOG": "/elsewhere"}})
    found = environment_of(jobs.job(an_ingest(), launch(), odd))
    assert found["SALES_TERMINATION_LOG"] == "/dev/termination-log"


# --- room and time


def test_small_batches_have_some_room_on_disk() -> None:
    assert scratch_of(an_object(size=1)) == 256


def test_room_is_made_for_the_rejects_of_the_largest_object_alone() -> None:
    """Objects are worked on one after the other, and nothing of one is kept for the next."""
    several = [an_object("raw/a.csv", size=100 * MI), an_object("raw/b.csv", size=90 * MI)]
    assert scratch_of(*several) == 400


def test_a_compressed_object_counts_as_large_as_it_may_unfold() -> None:
    assert scratch_of(an_object("raw/a.csv.gz", size=100 * MI)) == 4000


def test_no_object_may_fill_a_node() -> None:
    assert scratch_of(an_object(size=10**13)) == 20 * 1024


def test_a_part_of_a_mebibyte_counts_as_a_whole_one() -> None:
    assert scratch_of(an_object(size=100 * MI + 1)) == 401


@pytest.mark.parametrize(
    ("succeeded", "failed", "ttl"), [(3600, 0, 86400), (0, 604800, 604800), (604800, 0, 604800)]
)
def test_no_job_goes_by_itself_before_the_operator_would_delete_it(
    succeeded: int, failed: int, ttl: int
) -> None:
    """Nor ever at once: a failure that is forgotten is tried again without any pause."""
    options = {"ttlSecondsAfterSucceeded": succeeded, "ttlSecondsAfterFailed": failed}
    made = jobs.job(an_ingest(job=options), launch(), PLAIN)
    assert made["spec"]["ttlSecondsAfterFinished"] == ttl


# --- what is left out


def test_amounts_that_are_not_named_are_left_to_the_cluster() -> None:
    nothing = {"resources": {"requests": {"cpu": None}, "limits": {}}}
    made = jobs.job(an_ingest(job=nothing), launch(), PLAIN)
    assert "resources" not in pod_of(made)["containers"][0]


def test_without_a_schedule_there_is_no_cron_job() -> None:
    assert jobs.cron_job(an_ingest(trigger={"schedule": ""}), PLAIN) is None


def test_every_volume_that_is_mounted_is_there_and_cannot_be_written() -> None:
    secrets = [
        ConfigVolume(name=f"{'s' * 100}.{n}", kind="Secret", mount_path=f"/vault/secrets/{n}")
        for n in range(3)
    ]
    pod = pod_of(jobs.job(an_ingest(), launch(), PLAIN.model_copy(update={"volumes": secrets})))
    volumes = {v["name"]: v.get("secret", {}).get("secretName") for v in pod["volumes"]}
    mounts = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] != "tmp"]
    assert [volumes[m["name"]] for m in mounts] == [s.name for s in secrets]
    assert [m["mountPath"] for m in mounts] == [s.mount_path for s in secrets]
    assert all(m["readOnly"] for m in mounts)
    assert all(DNS_LABEL.fullmatch(name) and len(name) <= 63 for name in volumes)
