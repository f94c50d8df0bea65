"""Each secret and certificate is changed as the runbooks say, while files arrive and are loaded."""

from dataclasses import replace
from http import HTTPStatus

import psycopg
import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from tests.e2e.arriving import PATIENT, SMALL, files_arriving
from tests.e2e.chaos import Receivers
from tests.e2e.ingests import Ingest, large_file, sales_of, until
from tests.e2e.installation import BUCKET
from tests.e2e.listening import Listener
from tests.e2e.vaulted import seen_by_others
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SERVERS = {"minio": 9000, "postgres": 5432, "vault": 8200, "operator": 8443}
CUSTOMERS = """
SELECT key_version, count(DISTINCT customer_id) AS customers, count(*) AS sales
FROM dim_customer JOIN fact_sales USING (customer_id) JOIN dim_product USING (product_id)
WHERE product_category = %s GROUP BY key_version ORDER BY key_version
"""
VERIFIER = "SELECT rolpassword FROM pg_authid WHERE rolname = 'vault_admin'"


@pytest.fixture(scope="module")
def installation(vaulted):
    """The platform with Vault, in place of the one without."""
    return vaulted


def test_certificates_are_renewed_and_no_run_notices(installation, runbook):
    before = certificates(installation)
    with files_arriving(installation, "certificates-change") as ingest:
        runbook.follow("Certificates")
        until(lambda: not before.items() & certificates(installation).items())
    assert "RunFailed" not in ingest.happenings()


def certificates(installation):
    """The serial number of what each server shows to those who trust the installation's CA."""
    shown = {
        name: Listener(installation.namespace, f"service/{name}", port)
        for name, port in SERVERS.items()
    }
    trust = installation.trust()
    return {
        name: x509.load_der_x509_certificate(one.certificate(trust)).serial_number
        for name, one in shown.items()
    }


def test_the_pipelines_user_gets_new_keys_and_no_run_notices(installation, runbook):
    old = pipelines_keys(installation)
    assert store_lets_in(installation, **old)
    with files_arriving(installation, "pipelines-keys-change") as ingest:
        runbook.follow("Keys of the pipeline's user")
        assert not store_lets_in(installation, **old)
    new = pipelines_keys(installation)
    assert new["user"] != old["user"]
    assert store_lets_in(installation, **new)
    assert "RunFailed" not in ingest.happenings()


def pipelines_keys(installation):
    """What a run would be given now."""
    with installation.vault("sales-pipeline", "sales-pipeline") as vault:
        fields = vault.read("kv/data/sales/object-store")["data"]["data"]
    return {"user": fields["access_key"], "secret": fields["secret_key"]}


def store_lets_in(installation, user, secret):
    """Whether somebody with these keys may see what is in the bucket."""
    somebody = replace(installation, passwords={user: secret})
    try:
        with somebody.s3(user) as s3:
            s3.list_objects_v2(Bucket=BUCKET, Prefix="raw/", MaxKeys=1)
            return True
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.FORBIDDEN:
            raise
        return False


def test_the_key_of_the_pseudonyms_changes_and_customers_stay_who_they_are(installation, runbook):
    """Customers of the small files are known under the first key, and the same ones afterwards."""
    with files_arriving(installation, "pseudonym-key-changes") as ingest:
        until(lambda: customers(ingest))
        assert [row[0] for row in customers(ingest)] == [1]
        runbook.follow("Key of the pseudonyms")
    ingest.put({"after.csv": as_csv(sales_of(ingest.name, range(SMALL)))})
    (last,) = until(lambda: [one for one in ingest.ledger() if "after" in one["key"]])
    small = sum(one["rows_loaded"] for one in ingest.ledger() if one["rows_loaded"] == SMALL)
    assert last["rows_loaded"] == SMALL
    assert customers(ingest) == [(2, 7, small)]
    assert "RunFailed" not in ingest.happenings()


def customers(ingest):
    """How many customers its small files have named, and how many sales, by version of the key."""
    with ingest.installation.database("metabase") as connection:
        return connection.execute(CUSTOMERS, [ingest.name]).fetchall()


def test_a_restart_takes_up_what_servers_read_at_a_start(installation, runbook):
    old = dict(installation.passwords)
    with files_arriving(installation, "servers-start-anew"):
        runbook.follow("What is read at a start")
        installation.read_again()
    new = installation.passwords
    for user in ("root", "sales-operator"):
        assert not store_lets_in(installation, user, old[user])
        assert store_lets_in(installation, user, new[user])
    with Receivers.of(installation) as receivers:
        assert answers(receivers, old["events"]) == {HTTPStatus.UNAUTHORIZED}
        assert answers(receivers, new["events"]) == {HTTPStatus.NO_CONTENT}
        assert receivers.sums("sales_operator_events_total", "result")["ok"] > 0


def answers(receivers, token):
    """What the receivers say to somebody who shows this token."""
    headers = {"Authorization": f"Bearer {token}"}
    return {
        line.request("POST", "/events", body=b"{}", headers=headers).status
        for line in receivers.lines
    }


def test_the_database_gets_new_passwords_and_no_run_notices(installation, runbook):
    logins = ("postgres", "sales_owner", "metabase")
    old, before = dict(installation.passwords), verifier(installation)
    with files_arriving(installation, "database-passwords-change") as ingest:
        runbook.follow("Passwords of the database")
        installation.read_again()
    assert [login for login in logins if database_lets_in(installation, login, old[login])] == []
    new = installation.passwords
    assert [
        login for login in logins if not database_lets_in(installation, login, new[login])
    ] == []
    assert verifier(installation) != before
    assert "RunFailed" not in ingest.happenings()


def verifier(installation):
    """What the server keeps of the password that Vault has given its own login."""
    with installation.database("postgres") as connection:
        return connection.execute(VERIFIER).fetchone()


def database_lets_in(installation, login, password):
    """Whether the warehouse takes this password for this login."""
    somebody = replace(installation, passwords={login: password})
    try:
        with somebody.database(login):
            return True
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False


def test_logins_that_have_leaked_end_with_their_runs_and_others_load_the_objects(
    installation, runbook
):
    """The run whose login is taken away ends at once; its object is loaded by the next."""
    ingest = Ingest.make(installation, "logins-have-leaked", retry=PATIENT)
    ingest.put({"sales.csv": large_file(260)})
    first = ingest.until_reading()
    runbook.follow("When a secret has leaked")
    ingest.until_done(1)
    (row,) = ingest.ledger()
    assert row["run"] != first
    assert ingest.facts() == row["rows_loaded"] == 300_000


def test_nothing_that_others_read_holds_a_new_secret(installation, runbook):
    told = seen_by_others(installation.namespace) + runbook.told()
    assert [name for name, secret in installation.passwords.items() if secret in told] == []
