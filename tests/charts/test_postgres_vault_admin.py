"""The login that `charts/postgres` makes for Vault: what it may, and what outlives an upgrade."""

import re
import secrets
from contextlib import closing, suppress

import psycopg
import pytest

from tests.charts.postgres_local import SECRETS, LocalChart, refusal, state
from tests.vault.plans import example

pytestmark = pytest.mark.integration

ADMIN = {"username": "vault_admin", "password": "a'd\\min Vq4"}
ALL = SECRETS | {"postgres-vault-admin": ADMIN}
VALUES = {"vaultAdmin": {"enabled": True}}
PLACE = re.compile(r"{{(\w+)}}")
USER, PASSWORD = ADMIN["username"], ADMIN["password"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One of its own: roles belong to a whole server, and the bootstrap takes rights away."""
    from sales_pipeline.demo.postgres_server import PostgresServer

    with PostgresServer.start(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def chart(server, tmp_path):
    """The chart with a login for Vault, and with its tables; roles are gone again afterwards."""
    made = LocalChart(server, tmp_path)
    bootstrap(made)
    assert made.migrate(ALL, VALUES).code == 0
    yield made
    made.query(f"DROP OWNED BY {USER}; DROP ROLE {USER}")


def bootstrap(chart, login=ADMIN, values=VALUES):
    ended = chart.bootstrap(SECRETS | {"postgres-vault-admin": login}, values)
    assert ended.returncode == 0, ended.stderr


class Login:
    """A login as Vault makes and removes it, by the statements of the plan."""

    def __init__(self, chart, password=PASSWORD):
        self.name, self.password = f"v-kubernet-{secrets.token_hex(4)}", secrets.token_hex(8)
        self._chart, self._admin = chart, password
        self._texts = {
            "name": self.name,
            "password": self.password,
            "expiration": "2099-01-01 00:00:00+00",
        }

    def _run(self, statements):
        with closing(self._chart.connect(USER, self._admin)) as connection:
            for statement in statements:
                connection.execute(PLACE.sub(lambda place: self._texts[place[1]], statement))

    def make(self):
        self._run(self._role["creation"])

    def remove(self):
        self._run(self._role["revocation"])

    @property
    def _role(self):
        return example()["database"]["roles"]["sales-pipeline"]

    def connect(self):
        return closing(self._chart.connect(self.name, self.password))


@pytest.fixture
def login(chart):
    """One that is there."""
    made = Login(chart)
    made.make()
    yield made
    with suppress(psycopg.Error):
        made.remove()


def roles(chart):
    return {name for (name,) in chart.query("SELECT rolname FROM pg_roles")}


# --- what it may --------------------------------------------------------------------------------


def test_admin_may_make_logins_and_is_neither_superuser_nor_owner(chart):
    found = state(chart)
    assert (USER, True, False, True, False, -1) in found["roles"]
    groups = {("etl_loader", True, True, False), ("metabase_reader", True, True, False)}
    assert {(m[1], *m[3:]) for m in found["members"] if m[0] == USER} == groups
    assert [row for row in found["databases"] if row[1] == USER] == []


@pytest.mark.parametrize(
    "beyond",
    [
        "CREATE ROLE x SUPERUSER",
        "CREATE ROLE x IN ROLE pg_read_all_data",
        "CREATE ROLE x IN ROLE sales_owner",
        "ALTER ROLE sales_owner PASSWORD 'x'",
        "DROP ROLE sales_pipeline",
        "CREATE TABLE mine (a int)",
        "DROP TABLE fact_sales",
        "COPY dim_date TO PROGRAM 'true'",
    ],
)
def test_admin_may_no_more(chart, beyond):
    admin = closing(chart.connect(USER, PASSWORD))
    with admin as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(beyond)


def test_logins_that_it_makes_load(chart, login):
    with login.connect() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("etl_loader",)
        connection.execute("DELETE FROM fact_sales")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (a int)")


def test_it_removes_them_in_the_midst_of_their_work(chart, login):
    with login.connect() as connection:
        connection.execute("CREATE TEMPORARY TABLE mine (a int)")
        login.remove()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert login.name not in roles(chart)


# --- an upgrade ---------------------------------------------------------------------------------


def test_a_password_that_vault_has_changed_stays(chart):
    with closing(chart.connect(USER, PASSWORD)) as connection:
        connection.execute(f"ALTER ROLE {USER} WITH PASSWORD 'known to vault alone'")
    bootstrap(chart, ADMIN | {"password": "of a new secret"})
    chart.connect(USER, "known to vault alone").close()
    assert "authentication failed" in refusal(chart, USER, PASSWORD)


def test_a_password_that_was_taken_away_is_set_again(chart):
    """The way back for a Vault that was made anew."""
    chart.query(f"ALTER ROLE {USER} PASSWORD NULL")
    bootstrap(chart, ADMIN | {"password": "of a new secret"})
    chart.connect(USER, "of a new secret").close()


def test_logins_of_vault_outlive_it_and_can_be_removed_after_it(chart, login):
    before = state(chart)
    bootstrap(chart)
    assert state(chart) == before
    with login.connect() as connection:
        connection.execute("DELETE FROM fact_sales")
    login.remove()
    assert login.name not in roles(chart)


@pytest.mark.parametrize(
    "by_hand",
    [
        f"GRANT pg_read_all_data, sales_owner TO {USER}",
        f"GRANT postgres TO {USER}",
        f"REVOKE ADMIN OPTION FOR etl_loader FROM {USER}",
        f"ALTER ROLE {USER} NOCREATEROLE CREATEDB",
        f"ALTER ROLE {USER} NOLOGIN",
        f"ALTER ROLE {USER} RESET createrole_self_grant",
    ],
)
def test_what_was_changed_by_hand_is_brought_back(chart, by_hand):
    before = state(chart)
    chart.query(by_hand)
    assert state(chart) != before
    bootstrap(chart)
    assert state(chart) == before


def test_what_it_gave_itself_is_taken_back(chart, login):
    before = state(chart)
    with closing(chart.connect(USER, PASSWORD)) as connection:
        connection.execute(f"GRANT etl_loader TO {USER} WITH SET TRUE")
    assert state(chart) != before
    bootstrap(chart)
    assert state(chart) == before


def test_without_it_it_gets_in_no_more(chart):
    bootstrap(chart, values={})
    assert "authentication failed" in refusal(chart, USER, PASSWORD)


def test_a_username_that_is_taken_is_refused(chart):
    before = state(chart)
    for name in ("postgres", "sales_owner"):
        taken = SECRETS | {"postgres-vault-admin": ADMIN | {"username": name}}
        ended = chart.bootstrap(taken, VALUES)
        assert ended.returncode != 0
        assert f"Secret postgres-vault-admin is the login {name}" in ended.stdout
    assert state(chart) == before
