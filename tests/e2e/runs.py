"""Delivering a file and running its Job, as the operator is going to."""

from dataclasses import dataclass

from sales_api.report import RunReport
from sales_api.request import ObjectRef, RunRequest
from sales_pipeline.generate import GenerateSpec, Tally, iter_csv
from tests.e2e.installation import BUCKET, Installation
from tests.e2e.job import pipeline_job
from tests.support.expected_star import Delivered

LIMIT_SECONDS = 240


@dataclass(frozen=True)
class Delivery:
    """A generated file in the bucket."""

    reference: ObjectRef
    body: bytes
    bad_rows: int

    def as_it_came(self) -> Delivered:
        """For the model that says what the star must hold."""
        return Delivered(self.reference.key, self.body, self.reference.modified_at)


@dataclass(frozen=True)
class Ended:
    """What a run left behind."""

    report: RunReport
    exit_code: int
    log: str


def deliver(installation: Installation, key: str, spec: GenerateSpec) -> Delivery:
    """Generate a file and put it under a key as its supplier; seen as the operator sees it."""
    tally = Tally()
    body = b"".join(iter_csv(spec, 0, tally))
    with installation.s3("sales-supplier") as s3:
        put = s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    with installation.s3("sales-operator") as s3:
        (listed,) = s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]
    reference = ObjectRef(
        key=key,
        version_id=put["VersionId"],
        etag=listed["ETag"].strip('"'),
        size=listed["Size"],
        modified_at=listed["LastModified"],
    )
    return Delivery(reference, body, sum(tally.errors.values()))


def run_job(
    installation: Installation,
    name: str,
    delivery: Delivery,
    condition: str = "Complete",
    **settings: str,
) -> Ended:
    """Create the Job that loads a delivery, and wait until it has come to an end.

    Args:
        installation: Where it runs.
        name: Of the Job and the run.
        delivery: What it loads.
        condition: How the Job must end: `Complete` or `Failed`.
        settings: More environment of the pipeline.
    """
    request = RunRequest.model_validate(
        {
            "ingest": "e2e/daily",
            "run": name,
            "source": {"bucket": BUCKET},
            "objects": [delivery.reference.model_dump()],
        }
    )
    namespace = installation.namespace
    namespace.apply(pipeline_job(name, request, settings))
    wait = ("wait", f"job/{name}", f"--for=condition={condition}", f"--timeout={LIMIT_SECONDS}s")
    namespace.kubectl(*wait, timeout=LIMIT_SECONDS + 10)
    (pod,) = namespace.get("pods", f"--selector=job-name={name}")["items"]
    state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    report = RunReport.model_validate_json(state["message"])
    return Ended(report, state["exitCode"], namespace.logs(pod["metadata"]["name"]))
