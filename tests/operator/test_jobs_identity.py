"""What a web identity adds to the pods of runs, and what it leaves out."""

from typing import Any

import pytest
from pydantic import ValidationError

from sales_operator import jobs, web_identity
from sales_operator.settings import PipelineJobs, WebIdentity
from sales_pipeline.settings import Settings, read_settings
from tests.operator.making import an_ingest
from tests.operator.test_jobs import PLAIN, assert_golden, environment_of, launch, pod_of
from tests.operator.test_jobs_vault import installed, told

QUARTER_OF_AN_HOUR = 900
"""When the pipeline's driver asks for new keys, in seconds before the end of those that it has."""

AGENT = installed("agent")


def known(pipeline: PipelineJobs = PLAIN, **changes: str) -> PipelineJobs:
    """An installation whose object store knows runs by their service account."""
    identity = WebIdentity.model_validate({"audience": "minio"} | changes)
    return pipeline.model_copy(update={"web_identity": identity})


def a_job(pipeline: PipelineJobs) -> dict[str, Any]:
    """The Job of one object."""
    return jobs.job(an_ingest(), launch(), pipeline)


def as_the_pipeline_reads(pipeline: PipelineJobs) -> Settings:
    return read_settings(environment_of(a_job(pipeline)))


def token_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """The token that a pod asks for, and where it lies."""
    (volume,) = (v for v in pod_of(manifest)["volumes"] if v["name"] == "object-store-token")
    mounts = pod_of(manifest)["containers"][0]["volumeMounts"]
    (mount,) = (m for m in mounts if m["name"] == volume["name"])
    assert mount["readOnly"]
    (source,) = volume["projected"]["sources"]
    token: dict[str, Any] = source["serviceAccountToken"]
    return token | {"path": f"{mount['mountPath']}/{token['path']}"}


def test_the_job_whose_object_store_knows_it() -> None:
    assert_golden(a_job(known()), "job-identity.yaml")


def test_sweeps_are_known_as_runs_are() -> None:
    sweep = jobs.cron_job(an_ingest(), known())
    assert sweep
    assert token_of(sweep) == token_of(a_job(known()))
    assert environment_of(sweep)["SALES_S3_AUTH"] == "webIdentity"


def test_the_token_lies_where_the_pipeline_looks() -> None:
    found = as_the_pipeline_reads(known())
    token = token_of(a_job(known()))
    assert found.s3_auth == "webIdentity"
    assert str(found.s3_token_file) == token["path"]
    assert token["audience"] == "minio"


def test_the_kubelet_brings_the_next_token_before_it_is_asked_for() -> None:
    """It does so when a fifth of the life is left; else each call would ask for keys anew."""
    assert token_of(a_job(known()))["expirationSeconds"] / 5 > QUARTER_OF_AN_HOUR


@pytest.mark.parametrize(
    ("changes", "role"),
    [
        # As a server told it that was started with this CLIENT_ID.
        ({}, "arn:minio:iam:::role/MHR2BeH2-q1dHO2yx5U9Mf-tP9Q"),
        ({"audience": "other"}, web_identity.role_arn("other")),
        ({"role_arn": "arn:aws:iam::1:role/sales"}, "arn:aws:iam::1:role/sales"),
    ],
)
def test_the_role_is_that_of_the_audience_unless_it_is_named(
    changes: dict[str, str], role: str
) -> None:
    assert as_the_pipeline_reads(known(**changes)).s3_role == role


def test_without_it_nothing_is_about_it() -> None:
    assert "object-store-token" not in str(a_job(PLAIN))
    assert as_the_pipeline_reads(PLAIN).s3_auth == "keys"


def test_an_agent_then_brings_no_keys() -> None:
    before, after = (told(a_job(pipeline)) for pipeline in (AGENT, known(AGENT)))
    kinds = ("secret", "template")
    assert before.keys() - after.keys() == {f"agent-inject-{kind}-object-store" for kind in kinds}
    assert after.items() <= before.items()


@pytest.mark.parametrize("wrong", [{"audience": ""}, {"role_arn": "role"}])
def test_what_no_store_would_take_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        known(**wrong)
