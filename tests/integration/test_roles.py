"""Who may do what in the database, and how the schema comes to be."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from sales_api.report import ExitCode
from sales_pipeline import migrate
from sales_pipeline.credentials import open_database_login
from sales_pipeline.demo.platform import migrate_schema
from sales_pipeline.errors import ConfigurationError
from tests.support.command import command
from tests.support.sales_file import as_csv, sales

pytestmark = pytest.mark.integration

DENIED = psycopg.errors.InsufficientPrivilege
TABLES = ("fact_sales", "dim_customer", "dim_product", "dim_date", "ingest_object")


def connect(settings):
    """As one of the platform's own roles, the way the pipeline does it."""
    with open_database_login(settings) as login:
        pass
    return psycopg.connect(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=login.username,
        password=login.password.get_secret_value(),
        options=f"-c search_path={settings.db_schema}",
        autocommit=True,
    )


@pytest.fixture
def loader(platform):
    with closing(connect(platform.settings)) as connection:
        yield connection


@pytest.fixture
def reader(platform):
    options = "-c search_path=sales"
    with closing(psycopg.connect(platform.reader_dsn, autocommit=True, options=options)) as made:
        yield made


@pytest.fixture
def bare(installation):
    """A platform whose database has no schema yet."""
    with installation.sandbox(migrated=False) as made:
        yield made


class TestLoader:
    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE sales.mine (a int)",
            "CREATE TABLE public.mine (a int)",
            "CREATE SCHEMA mine",
            "ALTER TABLE fact_sales ADD COLUMN mine int",
            "DROP TABLE fact_sales",
            "TRUNCATE fact_sales",
            "CREATE INDEX ON fact_sales (quantity)",
            "ALTER TABLE fact_sales OWNER TO CURRENT_USER",
            "CREATE ROLE mine",
            "SELECT * FROM schema_migration",
            "INSERT INTO schema_migration VALUES (9, 'x', 'x')",
            "SET ROLE metabase_reader",
            "COPY fact_sales TO PROGRAM 'cat'",
        ],
    )
    def test_is_refused(self, loader, statement):
        """The loader changes rows, never the schema, the rights or the migrations."""
        with pytest.raises(DENIED):
            loader.execute(statement)

    def test_owns_nothing(self, platform, loader):
        """No object of the database belongs to the loader, also after it has loaded."""
        platform.put("raw/a.csv", as_csv(sales(range(3))))
        platform.sweep()
        owned = "SELECT count(*) FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'o'"
        (user,) = loader.execute("SELECT current_user").fetchone()
        assert platform.value(owned, [user]) == 0

    def test_group_cannot_log_in(self, platform):
        """The rights belong to groups that nobody can be."""
        roles = ["etl_loader", "metabase_reader"]
        query = "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname = ANY(%s)"
        assert sorted(platform.query(query, [roles])) == [(role, False, False) for role in roles]


class TestReader:
    @pytest.mark.parametrize("table", [*TABLES, "ingest_reject"])
    def test_reads(self, reader, table):
        """Dashboards may read every table of the star and of the ledger."""
        assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO dim_date SELECT 1, '2024-01-01', 1, 1, 1, 1, 1, 1, true",
            "UPDATE fact_sales SET quantity = 1",
            "DELETE FROM ingest_object",
            "TRUNCATE dim_customer",
            "CREATE TABLE sales.mine (a int)",
            "SELECT nextval('fact_sales_sales_id_seq')",
            "SET ROLE etl_loader",
        ],
    )
    def test_is_refused(self, reader, statement):
        """Reading is all that dashboards may do."""
        with pytest.raises(DENIED):
            reader.execute(statement)

    def test_tables_to_come(self, platform, reader, loader):
        """A table of a later migration may be read and loaded at once, without a new grant."""
        with closing(connect(platform.owner)) as owner:
            owner.execute("CREATE TABLE dim_later (a int GENERATED ALWAYS AS IDENTITY, b int)")
        loader.execute("INSERT INTO dim_later (b) VALUES (7)")
        assert reader.execute("SELECT b FROM dim_later").fetchone() == (7,)
        with pytest.raises(DENIED):
            reader.execute("DELETE FROM dim_later")


def test_owner_is_somebody_else(platform, loader, reader):
    """All tables have one owner, who is neither loader nor reader nor superuser."""
    owners = platform.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'sales'")
    assert len(owners) == 1
    users = {c.execute("SELECT current_user").fetchone()[0] for c in (loader, reader)}
    assert owners[0][0] not in users | {"postgres"}


class TestMigrations:
    def test_first_and_second_time(self, bare):
        """The first time applies every file and says so; the second time nothing."""
        environ = replace(bare, settings=bare.owner).environ()
        names = [m.name for m in migrate.migrations()]
        first, second = (command("migrate", environ=environ) for _ in range(2))
        done = "schema sales is up to date"
        assert first.out.splitlines() == [*(f"applied {name}" for name in names), done]
        assert second.out.splitlines() == [done]
        assert (first.code, second.code) == (ExitCode.DONE, ExitCode.DONE)
        listed = bare.query("SELECT version, name FROM schema_migration ORDER BY version")
        assert listed == list(enumerate(names, start=1))

    def test_at_once(self, bare):
        """Of four migrators at once one applies the files, the others find it done."""
        with ThreadPoolExecutor(4) as pool:
            applied = list(pool.map(migrate_schema, [bare.owner] * 4))
        assert sorted(map(len, applied)) == [0, 0, 0, len(list(migrate.migrations()))]

    def test_changed_file(self, platform, monkeypatch):
        """A migration that is not what was applied is refused by name, and nothing is done."""
        first, *others = migrate.migrations()
        changed = replace(first, script=first.script + "\n-- by the way")
        later = migrate.Migration(99, "0099_later.sql", "CREATE TABLE later (a int)")
        monkeypatch.setattr(migrate, "migrations", lambda: [later, changed, *others])
        with pytest.raises(ConfigurationError) as refused:
            migrate_schema(platform.owner)
        assert (refused.value.code, refused.value.where) == (
            "database.migration_changed",
            first.name,
        )
        assert platform.value("SELECT to_regclass('later')") is None

    def test_failing_file(self, bare, monkeypatch):
        """All files are applied or none: the last one's error undoes the first."""
        wrong = migrate.Migration(99, "0099_wrong.sql", "CREATE TABLE fact_sales (a int)")
        found = [*migrate.migrations(), wrong]
        monkeypatch.setattr(migrate, "migrations", lambda: found)
        with pytest.raises(ConfigurationError):
            migrate_schema(bare.owner)
        assert bare.value("SELECT to_regnamespace('sales')") is None

    def test_loader_cannot_migrate(self, bare):
        """With the loader's login there is no migration, and the message says whose it takes."""
        ended = command("migrate", environ=bare.environ())
        assert ended.code == ExitCode.CONFIGURATION
        assert "[database.rights]" in ended.last_words
        assert "owner" in ended.last_words

    def test_another_schema(self, bare):
        """The schema's name is a setting, and the pipeline follows it."""
        changes = {"db_schema": "shop"}
        shop = replace(bare, owner=bare.owner.model_copy(update=changes)).with_settings(**changes)
        migrate_schema(shop.owner)
        shop.put("raw/a.csv", as_csv(sales(range(3))))
        shop.sweep()
        assert shop.value("SELECT count(*) FROM shop.fact_sales") == 3
