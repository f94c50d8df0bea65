"""The whole thread: a server that is nobody's, set up; what clients get from it, and what not."""

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import hvac.exceptions
import psycopg
import pytest

from sales_vault.waiting import until
from tests.support.command import Ended
from tests.support.services import Database, fresh_database
from tests.vault.plans import drop_admin, example, make_admin, set_password, with_database
from tests.vault.support import World

pytestmark = [pytest.mark.integration, pytest.mark.slow]

REFUSED = (hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest)
SECONDS = 60
"""Vault ends logins after it has answered whoever revoked their token."""
ACCOUNTS = ["sales-pipeline", "sales-operator", "minio", "postgres", "metabase"]


@dataclass(frozen=True)
class Installed:
    """The platform's plan on a server, and how it came to be."""

    world: World
    database: Database
    plan: dict
    early: Ended
    """The first run: PostgreSQL has no login for Vault yet."""
    late: Ended
    """The second: it has one."""
    login: dict
    """What the charts' PostgreSQL was given for Vault."""


@pytest.fixture(scope="module")
def installed(services, tmp_path_factory):
    """Two runs, with the work of charts/postgres between them."""
    with (
        fresh_database(services.postgres) as database,
        World.make(tmp_path_factory.mktemp("vault")) as world,
    ):
        plan = with_database(example(), database)
        early = world.run("setup", plan, SALES_VAULT_WAIT_SECONDS="0")
        with world.logged_in("postgres") as client:
            login = client.read("kv/data/postgres/vault-admin")["data"]["data"]
        make_admin(database, login["username"], login["password"])
        yield Installed(world, database, plan, early, world.run("setup", plan), login)
        drop_admin(database, login["username"])


def _connects(database, login):
    try:
        with closing(psycopg.connect(database.dsn(login["username"], login["password"]))):
            return True
    except psycopg.OperationalError:
        return False


def test_waits_for_postgres_with_the_rest_done(installed):
    """Without PostgreSQL the run is to be tried again, yet every secret can already be read."""
    assert installed.early.code == 75, installed.early.err
    assert "Vault cannot log in to the database" in installed.early.last_words
    assert installed.login["username"] == "vault_admin"


def test_goes_on_where_it_stopped(installed):
    """With PostgreSQL there, the second run does what was left, and only that."""
    assert (installed.late.code, installed.late.out) == (0, "3 steps done\n")


def test_third_run_changes_nothing_and_says_so(installed):
    again = installed.world.run("setup", installed.plan)
    assert (again.code, again.out, again.err) == (0, "nothing to change\n", "")


def test_check_finds_nothing(installed):
    checked = installed.world.run("check", installed.plan)
    assert (checked.code, checked.out) == (0, "nothing differs\n")


def test_root_token_is_nowhere(installed):
    """Neither the server nor the Secret has a root token."""
    assert installed.world.roots() == []
    assert installed.world.api.kept("root-token") == ""


def test_leaves_no_token_of_its_own(installed):
    """A run ends the token that it logged in with."""
    with installed.world.root() as root:
        before = root.auth.token.list_accessors()["data"]["keys"]
        installed.world.run("setup", installed.plan)
        assert set(root.auth.token.list_accessors()["data"]["keys"]) == set(before)


def test_nobody_else_knows_the_rotated_login(installed):
    """The password that PostgreSQL was set up with is good no more."""
    assert not _connects(installed.database, installed.login)


def test_job_has_its_secrets_and_a_login(installed):
    """A run's pod reads its two secrets and gets a login that works as the loaders' group."""
    with installed.world.logged_in("sales-pipeline") as client:
        store = client.read("kv/data/sales/object-store")["data"]["data"]
        assert set(store) == {"access_key", "secret_key"}
        key = client.read("kv/data/sales/pseudonym")["data"]["data"]
        assert set(key) == {"key", "key_version"}
        made = client.read("database/creds/sales-pipeline")["data"]
        dsn = installed.database.dsn(made["username"], made["password"])
        with closing(psycopg.connect(dsn)) as session:
            query = "SELECT current_user, pg_has_role(session_user, 'etl_loader', 'MEMBER')"
            assert session.execute(query).fetchone() == ("etl_loader", True)


def test_login_ends_with_the_token(installed):
    """Once a Job has revoked its token, its login is gone, session and all."""
    with installed.world.logged_in("sales-pipeline") as client:
        made = client.read("database/creds/sales-pipeline")["data"]
        dsn = installed.database.dsn(made["username"], made["password"])
        with closing(psycopg.connect(dsn)) as session:
            client.auth.token.revoke_self()
            assert until(lambda: not _connects(installed.database, made), SECONDS)
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")


def test_login_that_owns_something_goes_too(installed):
    """What a login made under its own name passes to the group, and stays."""
    with installed.world.logged_in("sales-pipeline") as client:
        made = client.read("database/creds/sales-pipeline")["data"]
        with closing(psycopg.connect(installed.database.dsn(), autocommit=True)) as superuser:
            superuser.execute("CREATE TABLE stray (a int)")
            superuser.execute(f'ALTER TABLE stray OWNER TO "{made["username"]}"')
            client.auth.token.revoke_self()
            assert until(lambda: not _connects(installed.database, made), SECONDS)
            owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'stray'"
            assert superuser.execute(owner).fetchone() == ("etl_loader",)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_reads_nothing_but_its_own(installed, account):
    """Each account reads what its policy lists, and no other secret, and can write none."""
    rules = installed.plan["policies"][account]
    (name,) = installed.plan["roles"][account].get("serviceAccounts", [account])
    with installed.world.logged_in(name, account) as client:
        for path in installed.plan["kv"]["generate"]:
            if f"kv/data/{path}" in rules:
                assert client.read(f"kv/data/{path}")["data"]["data"]
                continue
            with pytest.raises(hvac.exceptions.Forbidden):
                client.read(f"kv/data/{path}")
        for path in ("sales/object-store", "sales/new"):
            with pytest.raises(hvac.exceptions.Forbidden):
                client.write_data(f"kv/data/{path}", data={"data": {"a": "b"}})
        if account != "sales-pipeline":
            with pytest.raises(hvac.exceptions.Forbidden):
                client.read("database/creds/sales-pipeline")


@pytest.mark.parametrize(
    ("account", "audience"),
    [("default", "vault"), ("sales-operator", "vault"), ("sales-pipeline", "api")],
)
def test_strangers_do_not_become_the_pipeline(installed, account, audience):
    """Another account, or a token for another audience, is not let in."""
    with (
        pytest.raises(REFUSED),
        installed.world.logged_in(account, "sales-pipeline", audience),
    ):
        pytest.fail("was let in")


def test_setup_role_can_neither_read_nor_replace_secrets(installed):
    """It makes secrets and sees that they are there; their content is not its business."""
    with installed.world.logged_in("vault-setup") as client:
        with pytest.raises(hvac.exceptions.Forbidden):
            client.read("kv/data/sales/pseudonym")
        for options in ({}, {"cas": 1}):
            data = {"data": {"key": "mine"}, "options": options}
            with pytest.raises(hvac.exceptions.Forbidden):
                client.write_data("kv/data/sales/pseudonym", data=data)
        with pytest.raises(hvac.exceptions.Forbidden):
            client.read("database/creds/sales-pipeline")


def test_no_password_is_in_a_statement(installed):
    """PostgreSQL is sent verifiers: what it logs of a statement holds no password."""
    with installed.world.logged_in("sales-pipeline") as client:
        with closing(psycopg.connect(installed.database.dsn(), autocommit=True)) as superuser:
            superuser.execute("ALTER SYSTEM SET log_statement = 'all'")
            superuser.execute("SELECT pg_reload_conf()")
            made = client.read("database/creds/sales-pipeline")["data"]
            superuser.execute("ALTER SYSTEM RESET log_statement")
            superuser.execute("SELECT pg_reload_conf()")
        log = installed.database.postgres._program.log.read_text("utf-8", errors="replace")
        assert made["username"] in log
        assert made["password"] not in log


def test_writes_no_secret_anywhere(installed):
    """Neither the program's output nor the server's log, audit included, has a secret in clear."""
    said = installed.early.out + installed.early.err + installed.late.out + installed.late.err
    said += installed.world.vault.log()
    keys = installed.world.api.kept("keys").split()
    assert len(keys) == 5
    assert not [key for key in (*keys, installed.login["password"]) if key in said]
    assert '"type":"response"' in said


class TestDrift:
    def test_is_told_and_undone(self, installed):
        """What was changed by hand is told by `check`, and undone by `setup`."""
        world, plan = installed.world, installed.plan
        with world.root() as root:
            root.write_data("sys/policies/acl/minio", data={"policy": 'path "*" {}'})
            root.write_data("auth/kubernetes/role/metabase", data={"token_ttl": "9m"})
            root.write_data("database/roles/sales-pipeline", data={"default_ttl": "9m"})
        lines = [
            "policy minio: different in policy",
            "role metabase: different in token_ttl",
            "database role sales-pipeline: different in default_ttl",
        ]
        checked = world.run("check", plan)
        assert checked.code == 78
        assert checked.out.splitlines() == lines
        assert world.run("setup", plan).out == f"{len(lines)} steps done\n"
        assert world.run("check", plan).code == 0

    def test_order_of_names_is_no_difference(self, installed):
        """Vault sorts some of them."""
        plan = copy.deepcopy(installed.plan)
        names = ["z", "a", "m"]
        accounts = {"serviceAccounts": names, "namespaces": names, "policies": names}
        plan["roles"]["more"] = accounts
        assert installed.world.run("setup", plan).out == "1 steps done\n"
        assert installed.world.run("setup", plan).out == "nothing to change\n"

    def test_what_the_plan_does_not_name_stays(self, installed):
        world, plan = installed.world, installed.plan
        with world.root() as root:
            root.write_data("sys/policies/acl/theirs", data={"policy": 'path "a" {}'})
            root.write_data("kv/data/theirs", data={"data": {"a": "b"}})
            assert world.run("setup", plan).out == "nothing to change\n"
            assert root.read("sys/policies/acl/theirs")
            assert root.read("kv/data/theirs")["data"]["data"] == {"a": "b"}

    def test_deleted_secret_is_not_made_again(self, installed):
        """Somebody deleted it on purpose, and may want to have it back."""
        world, plan = installed.world, installed.plan
        with world.root() as root:
            root.delete("kv/data/postgres/metabase")
            assert world.run("setup", plan).out == "nothing to change\n"
            root.write_data("kv/undelete/postgres/metabase", data={"versions": [1]})
            assert root.read("kv/data/postgres/metabase")["data"]["data"]["username"] == "metabase"

    def test_connection_is_changed_with_the_login_it_has(self, installed):
        """A rotated login stays: the secret's password would be refused."""
        world = installed.world
        with world.root() as root:
            asked = {"allowed_roles": ["nobody"], "plugin_name": "postgresql-database-plugin"}
            root.write_data("database/config/sales", data=asked)
        changed = world.run("setup", installed.plan)
        assert (changed.code, changed.out) == (0, "1 steps done\n")
        with world.logged_in("sales-pipeline") as client:
            assert client.read("database/creds/sales-pipeline")["data"]["username"]

    def test_connection_whose_login_nobody_wrote(self, installed):
        """A human is told which secret is wanted."""
        plan = copy.deepcopy(installed.plan)
        rights = {"kv/data/theirs/login": ["read"], "kv/metadata/theirs/login": ["read"]}
        plan["policies"]["vault-setup"] |= rights
        connection = plan["database"]["connections"]["sales"] | {"login": "theirs/login"}
        plan["database"]["connections"]["other"] = connection
        ended = installed.world.run("setup", plan)
        assert ended.code == 78
        assert "kv/data/theirs/login: there is no login" in ended.last_words
        assert installed.world.run("setup", installed.plan).out == "1 steps done\n"

    def test_login_that_postgres_lost_is_taken_up_and_rotated_anew(self, installed):
        """The way out that PLAN.md tells: the secret's password, and no connection."""
        login = installed.login["username"], installed.login["password"]
        set_password(installed.database, *login)
        with installed.world.root() as root:
            root.delete("database/config/sales")
        assert installed.world.run("setup", installed.plan).out == "2 steps done\n"
        assert not _connects(installed.database, installed.login)
        with installed.world.logged_in("sales-pipeline") as client:
            assert client.read("database/creds/sales-pipeline")["data"]["username"]

    def test_postgres_that_comes_while_the_setup_waits(self, installed):
        """As in one installation of everything, whose PostgreSQL waits for this run's secrets."""
        with installed.world.root() as root:
            root.delete("database/config/sales")
        log = installed.database.postgres._program.log
        refusal = f'password authentication failed for user "{installed.login["username"]}"'

        def come():
            refused = until(lambda: count() > refusals, SECONDS)
            set_password(installed.database, *login)
            return refused

        def count():
            return log.read_text("utf-8", errors="replace").count(refusal)

        login = installed.login["username"], installed.login["password"]
        refusals = count()
        with ThreadPoolExecutor() as beside:
            refused = beside.submit(come)
            ended = installed.world.run("setup", installed.plan)
        assert refused.result()
        assert (ended.code, ended.out) == (0, "2 steps done\n"), ended.err

    def test_right_that_the_setup_role_lacks_is_named(self, installed):
        """It can write its own policy, so the plan must give it what the plan asks for."""
        plan = copy.deepcopy(installed.plan)
        plan["kv"] = {"mount": "other"}
        ended = installed.world.run("setup", plan)
        assert ended.code == 78
        assert "Give the setup role this path in its policy" in ended.last_words

    def test_other_engine_in_the_way_is_a_human_matter(self, installed):
        plan = {**installed.plan, "audit": {"stdout": {"type": "socket"}}}
        ended = installed.world.run("setup", plan)
        assert ended.code == 78
        assert "sys/audit/stdout: it is something else: type, options" in ended.last_words
