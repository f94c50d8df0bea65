"""The whole thread through Vault: runs have logins of their own, and nobody else has any secret."""

import base64

import hvac.exceptions
import pytest

from tests.e2e.arriving import PATIENT
from tests.e2e.ingests import Ingest, condition, holds, large_file, sales_of, until
from tests.e2e.vaulted import VAULT, dynamic_logins, seen_by_others
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SETUP = "--selector=app.kubernetes.io/name=vault,app.kubernetes.io/component=setup"
ROWS = 100_000


@pytest.fixture(scope="module")
def installation(vaulted):
    """The platform with Vault, in place of the one without."""
    return vaulted


@pytest.fixture(scope="module")
def loaded(installation):
    """An ingest with a run that is over, and the login to the warehouse that it had."""
    ingest = Ingest.make(installation, "through-vault")
    ingest.put({"sales.csv": large_file(120, ROWS)})
    ingest.until_reading()
    logins = dynamic_logins(installation)
    ingest.until_done(1)
    return ingest, logins


def test_a_run_loads_its_file_with_a_login_that_ends_with_it(installation, loaded):
    ingest, logins = loaded
    assert len(logins) == 1
    assert ingest.facts() == ROWS
    (row,) = ingest.ledger()
    assert (row["status"], row["rows_loaded"]) == ("loaded", ROWS)
    assert ingest.keys("raw") == []
    until(lambda: not dynamic_logins(installation))


def test_a_pod_of_a_run_mounts_no_secret(loaded):
    ingest, _ = loaded
    for pod in ingest.pods():
        assert [v["name"] for v in pod["spec"]["volumes"] if "secret" in v] == []
        (token,) = [v for v in pod["spec"]["volumes"] if v["name"] == "vault-token"]
        (source,) = token["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == "vault"


def test_nothing_that_others_read_holds_a_secret(installation, loaded):
    told = seen_by_others(installation.namespace)
    assert [name for name, secret in installation.passwords.items() if secret in told] == []


def test_no_secret_of_kubernetes_holds_what_vault_made(installation):
    kept = installation.namespace.kubectl("get", "secrets", "--output=yaml")
    by_hand = {"sales-supplier"}
    found = {
        name
        for name, secret in installation.passwords.items()
        if base64.b64encode(secret.encode()).decode() in kept
    }
    assert found == by_hand


def test_no_key_and_no_root_token_is_kept(installation):
    """The server unseals itself, and has made none that anybody could have taken down."""
    kept = installation.namespace.get("secrets")["items"]
    ours = [one["metadata"]["name"] for one in kept if one["type"] == "Opaque"]
    assert sorted(ours) == ["sales-supplier-object-store", "vault-seal"]
    with installation.vault_unknown() as vault:
        assert vault.seal_status["recovery_seal"]
        assert vault.seal_status["n"] == 0


@pytest.mark.parametrize(
    ("account", "role", "audience"),
    [
        ("default", "sales-pipeline", "vault"),
        ("minio", "sales-pipeline", "vault"),
        ("sales-pipeline", "minio", "vault"),
        ("sales-pipeline", "vault-setup", "vault"),
        ("sales-pipeline", "sales-pipeline", "https://kubernetes.default.svc.cluster.local"),
    ],
)
def test_nobody_logs_in_as_somebody_else(installation, account, role, audience):
    with (
        pytest.raises((hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest)),
        installation.vault(account, role, audience),
    ):
        pass


def test_a_run_reads_no_secrets_but_its_own(installation):
    with installation.vault("sales-pipeline", "sales-pipeline") as vault:
        for path in ("minio/server", "postgres/superuser", "sales/operator-events"):
            with pytest.raises(hvac.exceptions.Forbidden):
                vault.read(f"kv/data/{path}")
        vault.auth.token.revoke_self()


def test_the_chart_keeps_its_promises(installation):
    assert "Phase:          Succeeded" in installation.namespace.helm_test("vault")


def test_a_second_setup_changes_nothing(installation):
    assert set_up_again(installation) == "nothing to change"


def test_files_that_come_while_vault_is_sealed_wait_for_its_restart(installation, runbook):
    ingest = Ingest.make(installation, "while-sealed", retry=PATIENT)
    runbook.follow("When Vault shall give nothing more")
    ingest.put({"sales.csv": as_csv(sales_of(ingest.name, range(10)))})
    ingest.wait("condition=LastRunSucceeded=False")
    status = ingest.status()
    assert condition(status, "LastRunSucceeded")["reason"] == "TemporaryFailure"
    assert holds(status, "Stalled", "False")
    assert ingest.keys("raw") == ["sales.csv"]
    installation.namespace.kubectl("delete", "pod", "vault-0", timeout=120)
    ingest.until_done(1)
    assert ingest.facts() == 10


def set_up_again(installation):
    """Run the setup, as it would be on a new server; the last thing that it says."""
    namespace = installation.namespace
    namespace.kubectl("delete", "jobs", SETUP)
    namespace.install("vault", VAULT | {"database": {"enabled": True}})
    return namespace.kubectl("logs", SETUP, "--tail=1").strip()
