"""The whole thread through Vault: runs have logins of their own, and nobody else has any secret."""

import base64

import hvac.exceptions
import pytest

from tests.e2e.ingests import Ingest, condition, holds, large_file, sales_of, until
from tests.e2e.kube import KubeError
from tests.e2e.standing import standing
from tests.e2e.vaulted import VAULT, Vaulted
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SEEN_BY_ALL = (
    "pods,jobs,cronjobs,statefulsets,deployments,configmaps,events,services,salesingests,leases"
)
SETUP = "--selector=app.kubernetes.io/name=vault,app.kubernetes.io/component=setup"
DYNAMIC = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'"
ROWS = 100_000


@pytest.fixture(scope="module")
def installation(cluster, tmp_path_factory):
    """In place of the one that all others share: a platform with Vault."""
    with standing(Vaulted, "minidata-e2e-vault", tmp_path_factory.mktemp("vault-certs")) as made:
        yield made


@pytest.fixture(scope="module")
def loaded(installation):
    """An ingest with a run that is over, and the login to the warehouse that it had."""
    ingest = Ingest.make(installation, "through-vault")
    ingest.put({"sales.csv": large_file(120, ROWS)})
    ingest.until_reading()
    logins = dynamic_logins(installation)
    ingest.until_done(1)
    return ingest, logins


def dynamic_logins(installation):
    """Those that Vault has made for the warehouse, and that are there now."""
    with installation.database("metabase") as connection:
        return [name for (name,) in connection.execute(DYNAMIC).fetchall()]


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
    namespace = installation.namespace
    told = namespace.kubectl("get", SEEN_BY_ALL, "--output=yaml")
    for pod in namespace.kubectl("get", "pods", "--output=name").split():
        told += namespace.logs(pod)
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


def test_the_root_token_is_not_kept(installation):
    assert installation.namespace.get("secret", "vault-keys")["data"].keys() == {"keys"}


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


def test_files_that_come_while_vault_is_sealed_wait_for_it(installation):
    ingest = Ingest.make(
        installation, "while-sealed", retry={"backoffSeconds": 1, "maxAttempts": 20}
    )
    installation.namespace.kubectl("delete", "pod", "vault-0", timeout=120)
    until(lambda: is_sealed(installation))
    ingest.put({"sales.csv": as_csv(sales_of(ingest.name, range(10)))})
    ingest.wait("condition=LastRunSucceeded=False")
    status = ingest.status()
    assert condition(status, "LastRunSucceeded")["reason"] == "TemporaryFailure"
    assert holds(status, "Stalled", "False")
    assert ingest.keys("raw") == ["sales.csv"]
    set_up_again(installation)
    ingest.until_done(1)
    assert ingest.facts() == 10


def is_sealed(installation):
    """Whether the server answers, and that it is sealed."""
    try:
        with installation.vault_unknown() as vault:
            return vault.sys.is_sealed()
    except (OSError, KubeError, hvac.exceptions.VaultError):
        return False


def set_up_again(installation):
    """Run the setup, as it would be on a new server; the last thing that it says."""
    namespace = installation.namespace
    namespace.kubectl("delete", "jobs", SETUP)
    namespace.install("vault", VAULT | {"database": {"enabled": True}})
    return namespace.kubectl("logs", SETUP, "--tail=1").strip()
