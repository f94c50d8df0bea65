"""What Vault adds to the pods of runs, by whom the credentials are asked for."""

from typing import Any

import pytest
from pydantic import ValidationError

from sales_operator import jobs, vault
from sales_operator.settings import PipelineJobs, Vault
from sales_pipeline.settings import Settings, read_settings
from tests.operator.making import an_ingest
from tests.operator.test_jobs import PLAIN, assert_golden, environment_of, launch, pod_of

ADDRESS = "https://vault.minidata.svc:8200"
MODES = ("agent", "direct")


def installed(mode: str, **changes: str) -> PipelineJobs:
    """An installation whose credentials are in Vault."""
    access = Vault.model_validate({"mode": mode, "address": ADDRESS} | changes)
    return PLAIN.model_copy(update={"vault": access})


def a_job(pipeline: PipelineJobs, **spec: Any) -> dict[str, Any]:
    """The Job of one object."""
    return jobs.job(an_ingest(**spec), launch(), pipeline)


def told(manifest: dict[str, Any]) -> dict[str, str]:
    """What the pods of a Job or CronJob tell the injector, without its prefix."""
    spec = manifest["spec"]
    template = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]
    found = template["metadata"]["annotations"].items()
    prefix = "vault.hashicorp.com/"
    return {name.removeprefix(prefix): text for name, text in found if name.startswith(prefix)}


# --- whole manifests


def test_the_job_whose_credentials_an_agent_brings() -> None:
    assert_golden(a_job(installed("agent")), "job-agent.yaml")


def test_the_job_that_asks_vault_itself() -> None:
    assert_golden(a_job(installed("direct")), "job-direct.yaml")


@pytest.mark.parametrize("mode", MODES)
def test_sweeps_have_what_runs_have(mode: str) -> None:
    run, sweep = a_job(installed(mode)), jobs.cron_job(an_ingest(), installed(mode))
    assert sweep
    assert told(sweep) == told(run)
    assert pod_of(sweep)["volumes"][1:] == pod_of(run)["volumes"][1:]
    theirs, ours = environment_of(sweep), environment_of(run)
    assert {name: theirs[name] for name in ours if name.startswith("SALES_VAULT_")} == {
        name: text for name, text in ours.items() if name.startswith("SALES_VAULT_")
    }


# --- who is told what


def test_only_pods_speak_to_the_injector() -> None:
    """A Job's own labels and annotations are for the operator and for people."""
    made = a_job(installed("agent"))
    template = made["spec"]["template"]["metadata"]
    assert template["labels"].items() - made["metadata"]["labels"].items() == {
        (vault.LABEL, "true")
    }
    assert template["annotations"].items() > made["metadata"]["annotations"].items()


@pytest.mark.parametrize("pipeline", [PLAIN, installed("direct")], ids=["secret", "direct"])
def test_without_an_agent_the_injector_is_told_nothing(pipeline: PipelineJobs) -> None:
    made = a_job(pipeline)
    assert told(made) == {}
    assert vault.LABEL not in made["spec"]["template"]["metadata"]["labels"]


def test_without_vault_nothing_is_about_it() -> None:
    assert "vault" not in str(a_job(PLAIN))


@pytest.mark.parametrize("pipeline", [PLAIN, *map(installed, MODES)], ids=["secret", *MODES])
def test_an_ingest_cannot_choose_its_secrets(pipeline: PipelineJobs) -> None:
    """Nor have a command run in the agent: whatever it says to the injector is passed over."""
    wanted = {
        "vault.hashicorp.com/role": "postgres",
        "vault.hashicorp.com/agent-inject": "false",
        "vault.hashicorp.com/agent-inject-secret-more": "kv/data/postgres/owner",
        "vault.hashicorp.com/agent-inject-command-database": "cat /vault/secrets/database",
        "example.com/team": "sales",
    }
    options = {"annotations": wanted, "labels": {vault.LABEL: "false", "team": "sales"}}
    asked, plain = a_job(pipeline, job=options), a_job(pipeline)
    assert told(asked) == told(plain)
    template = asked["spec"]["template"]["metadata"]
    assert template["annotations"]["example.com/team"] == template["labels"]["team"] == "sales"
    assert "false" not in template["labels"].values()


# --- what the pipeline is told


def as_the_pipeline_reads(pipeline: PipelineJobs, **spec: Any) -> Settings:
    return read_settings(environment_of(a_job(pipeline, **spec)))


def test_the_pipeline_finds_its_credentials_as_the_installation_has_them() -> None:
    found = as_the_pipeline_reads(
        installed(
            "direct",
            role="loader",
            auth_path="clusters/one",
            kv_mount="secret",
            kv_path="team/sales",
            database_path="",
        )
    )
    assert (found.credentials, found.vault_addr) == ("direct", ADDRESS)
    assert (found.vault_role, found.vault_auth_path) == ("loader", "clusters/one")
    assert (found.vault_mount, found.vault_path) == ("secret", "team/sales")
    assert found.vault_database_path == ""


@pytest.mark.parametrize("mode", MODES)
def test_the_pipeline_knows_how_long_its_login_must_live(mode: str) -> None:
    spec = {"job": {"activeDeadlineSeconds": 7200}}
    assert as_the_pipeline_reads(installed(mode), **spec).deadline_seconds == 7200


@pytest.mark.parametrize("mode", MODES)
def test_the_token_lies_where_the_pipeline_looks(mode: str) -> None:
    """It is good for Vault alone, and not for long."""
    pod = pod_of(a_job(installed(mode)))
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "vault-token")
    (volume,) = (v for v in pod["volumes"] if v["name"] == "vault-token")
    (source,) = volume["projected"]["sources"]
    token = source["serviceAccountToken"]
    looked_for = as_the_pipeline_reads(installed(mode)).vault_token_file
    assert f"{mount['mountPath']}/{token['path']}" == str(looked_for)
    assert (token["audience"], token["expirationSeconds"]) == ("vault", 600)
    assert mount["readOnly"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"database_path": 'x" }}{{ with secret "kv/data/postgres/owner'},
        {"kv_path": "/sales"},
        {"role": ""},
        {"mode": "secret"},
    ],
)
def test_a_path_that_would_end_the_template_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Vault.model_validate({"mode": "agent", "address": ADDRESS} | wrong)
