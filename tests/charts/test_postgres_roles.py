"""What the bootstrap of `charts/postgres` makes of a server: logins, rights, the way to them."""

import psycopg
import pytest

from sales_api.report import ExitCode
from tests.charts.postgres_chart import LOADER
from tests.charts.postgres_local import (
    MARKS,
    SECRETS,
    LocalChart,
    login_of,
    refusal,
    state,
)

pytestmark = pytest.mark.integration

OWNER, PIPELINE, METABASE = (
    SECRETS[name] for name in ("postgres-owner", "sales-pipeline-database", "metabase-database")
)
CONNECT_REFUSED = "permission denied for database"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One of its own: roles belong to a whole server, and the bootstrap takes rights away."""
    from sales_pipeline.demo.postgres_server import PostgresServer

    with PostgresServer.start(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def chart(server, tmp_path):
    """The chart, installed with its default values."""
    made = LocalChart(server, tmp_path)
    ended = made.bootstrap()
    assert ended.returncode == 0, ended.stderr
    return made


@pytest.fixture
def other(chart):
    """A login that somebody else made, and trusted with a group."""
    chart.query("CREATE ROLE other LOGIN PASSWORD 'x'; GRANT etl_loader TO other WITH ADMIN OPTION")
    yield
    chart.query("DROP ROLE other")


# --- what comes of it ---------------------------------------------------------------------------


def test_roles_are_what_the_values_say(chart):
    found = state(chart)
    assert found["roles"] == [
        ("etl_loader", False, False, False, False, -1),
        (METABASE["username"], True, False, False, False, 20),
        ("metabase_reader", False, False, False, False, -1),
        ("postgres", True, True, True, True, -1),
        ("sales_owner", True, False, False, False, -1),
        ("sales_pipeline", True, False, False, False, -1),
    ]
    assert found["members"] == [
        (METABASE["username"], "metabase_reader", "postgres", False, True, False),
        ("sales_pipeline", "etl_loader", "postgres", False, True, False),
    ]


def test_a_second_time_changes_nothing(chart):
    before = state(chart)
    assert chart.bootstrap().returncode == 0
    assert state(chart) == before


@pytest.mark.parametrize("secret", [OWNER, PIPELINE, METABASE], ids=["owner", "loader", "reader"])
def test_a_login_gets_in_with_its_password_whatever_is_in_it(chart, secret):
    user, password = login_of(secret)
    with chart.connect(user, password) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (user,)
    assert "authentication failed" in refusal(chart, user, password + "x")


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "postgres-superuser"])
def test_scripts_find_the_password_whatever_is_in_it(chart, name):
    """By a passfile, where backslashes and colons have a meaning."""
    pod = chart.pod("roles")
    script = f'. {chart.folder}/scripts/client.sh; log_in {name}; sql -c "SELECT current_user"'
    ended = chart.run(pod, "sh", "-euc", script)
    assert (ended.stdout.rstrip("\n"), ended.stderr) == (SECRETS[name]["username"], "")


def test_passfile_is_for_its_owner_only(chart):
    assert (chart.folder / "runtime/pgpass").stat().st_mode & 0o777 == 0o600


def test_only_members_may_connect(chart, other):
    chart.query("REVOKE etl_loader FROM other")
    assert CONNECT_REFUSED in refusal(chart, "other", "x")
    for dbname in ("postgres", "template1"):
        assert CONNECT_REFUSED in refusal(chart, *login_of(PIPELINE), dbname)


def test_nobody_but_its_owner_uses_the_schema_public(chart):
    query = "SELECT has_schema_privilege('public', 'public', 'USAGE')"
    assert chart.query(query, "sales") == [(False,)]


# --- brought back -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "by_hand",
    [
        "GRANT metabase_reader, pg_read_all_data TO sales_pipeline",
        "GRANT etl_loader TO sales_pipeline WITH ADMIN OPTION",
        "GRANT etl_loader TO sales_pipeline WITH SET TRUE GRANTED BY other",
        """GRANT metabase_reader TO sales_pipeline WITH ADMIN OPTION;
        GRANT metabase_reader TO other GRANTED BY sales_pipeline""",
        "ALTER ROLE sales_pipeline CREATEROLE CREATEDB CONNECTION LIMIT 1",
        "ALTER ROLE etl_loader LOGIN",
        "GRANT CONNECT ON DATABASE sales TO PUBLIC",
        "ALTER DATABASE sales OWNER TO postgres",
        "ALTER DATABASE sales RESET search_path",
    ],
)
def test_what_was_changed_by_hand_is_brought_back(chart, other, by_hand):
    before = state(chart)
    chart.query(by_hand)
    assert state(chart) != before
    assert chart.bootstrap().returncode == 0
    assert state(chart) == before


def test_a_changed_password_is_the_one_that_counts(chart):
    user, old = login_of(PIPELINE)
    changed = SECRETS | {"sales-pipeline-database": {"username": user, "password": "new"}}
    assert chart.bootstrap(changed).returncode == 0
    assert "authentication failed" in refusal(chart, user, old)
    chart.connect(user, "new").close()


def test_a_login_that_left_the_values_gets_in_no_more(chart):
    loader = LOADER | {"existingSecret": "sales-pipeline-database"}
    assert chart.bootstrap(values={"logins": [loader]}).returncode == 0
    assert "authentication failed" in refusal(chart, *login_of(METABASE))
    assert (METABASE["username"], False) in [role[:2] for role in state(chart)["roles"]]
    chart.connect(*login_of(PIPELINE)).close()


def test_logins_of_others_are_left_alone(chart, other):
    """Such as those that Vault makes."""
    before = state(chart)
    assert chart.bootstrap().returncode == 0
    assert state(chart) == before
    chart.connect("other", "x").close()


# --- refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["postgres", "etl_loader", "sales_pipeline"])
def test_a_username_that_is_taken_is_refused(chart, username):
    """A superuser must not be cut down to a login, nor a group become one, nor two share one."""
    before = state(chart)
    login = {"username": username, "password": "x"}
    ended = chart.bootstrap(SECRETS | {"metabase-database": login})
    assert ended.returncode != 0
    assert f"Secret metabase-database is the login {username}" in ended.stdout
    reasons = ("choose another username", "each_secret_has_a_username_of_its_own")
    assert any(reason in ended.stderr for reason in reasons)
    assert state(chart) == before


@pytest.mark.parametrize("key", ["username", "password"])
def test_an_empty_key_is_refused_before_anything_is_done(chart, key):
    ended = chart.bootstrap(SECRETS | {"metabase-database": METABASE | {key: ""}})
    assert ended.returncode != 0
    assert ended.stderr == f"Secret metabase-database: the key {key} is missing or empty\n"


# --- no password anywhere -----------------------------------------------------------------------


@pytest.fixture
def talkative(chart):
    """A server that logs every statement it is sent."""
    settings = {"log_statement": "'all'", "log_min_duration_statement": "0"}
    for name, value in settings.items():
        chart.query(f"ALTER SYSTEM SET {name} = {value}")
    chart.query("SELECT pg_reload_conf()")
    yield chart
    chart.query("ALTER SYSTEM RESET ALL")
    chart.query("SELECT pg_reload_conf()")


def marks_in(text):
    return [mark for mark in MARKS if mark in text]


def test_no_password_is_logged(talkative):
    ended = talkative.bootstrap()
    assert ended.returncode == 0
    assert "CREATE DATABASE" not in ended.stdout
    assert "SET log_statement" in talkative.log()
    assert marks_in(ended.stdout + ended.stderr + talkative.log()) == []


@pytest.mark.parametrize(
    ("limit", "error"), [("-5", "invalid connection limit"), ("none", "syntax error")]
)
def test_no_password_is_told_with_an_error(talkative, limit, error):
    """The statement that fails is the one with the password."""
    rendered = talkative.pod("roles").root / "scripts/logins.sql"
    logins = rendered.read_text("utf-8").replace("limit -1", f"limit {limit}")
    ended = talkative.bootstrap(scripts={"logins.sql": logins})
    assert ended.returncode != 0
    assert error in ended.stderr
    assert "LINE" not in ended.stderr
    assert error in talkative.log()
    assert marks_in(ended.stdout + ended.stderr + talkative.log()) == []


# --- migrations ---------------------------------------------------------------------------------


@pytest.fixture
def migrated(chart):
    """The chart after the second half of its Job."""
    ended = chart.migrate()
    assert (ended.code, ended.err) == (ExitCode.DONE, "")
    return chart


def test_migrations_need_no_more_than_the_owners_login(migrated):
    owners = migrated.query("SELECT DISTINCT tableowner FROM pg_tables", "sales")
    assert ("sales_owner",) in owners
    assert migrated.bootstrap().returncode == 0


@pytest.mark.parametrize(
    ("secret", "allowed", "refused"),
    [
        (PIPELINE, "DELETE FROM fact_sales", "DROP TABLE fact_sales"),
        (PIPELINE, "CREATE TEMPORARY TABLE mine (a int)", "CREATE TABLE mine (a int)"),
        (PIPELINE, "SELECT 1", "CREATE TABLE public.mine (a int)"),
        (PIPELINE, "SELECT 1", "SET ROLE etl_loader"),
        (METABASE, "SELECT count(*) FROM fact_sales", "INSERT INTO fact_sales DEFAULT VALUES"),
        (METABASE, "SELECT count(*) FROM ingest_object", "CREATE TEMPORARY TABLE mine (a int)"),
    ],
)
def test_a_group_may_do_its_work_and_no_more(migrated, secret, allowed, refused):
    """Tables are found without naming the schema, as the queries of the documents have it."""
    with migrated.connect(*login_of(secret)) as connection:
        connection.execute(allowed)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(refused)
