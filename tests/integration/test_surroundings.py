"""What a run meets when its surroundings are wrong: an exit code, one clear line, nothing lost."""

import json
import shutil

import psycopg
import pytest
from psycopg import sql

from sales_api.names import REQUEST_ENV
from sales_api.report import ExitCode, Fate, RunReport
from sales_pipeline import archive
from sales_pipeline.batch import Connections
from sales_pipeline.bucket import Bucket
from sales_pipeline.errors import TemporaryError
from sales_pipeline.load import Load
from sales_pipeline.run import ObjectRun
from tests.support.command import command
from tests.support.platform import no_pauses
from tests.support.sales_file import as_csv, order, sale, sales
from tests.support.services import unique

pytestmark = pytest.mark.integration

KEY = "raw/a.csv"
FILE = as_csv(sales(range(10)))
COUNTS = ("rows_read", "rows_loaded", "rows_rejected", "rows_deduplicated")
PASSWORD = "a-password-that-nobody-may-read"


@pytest.fixture
def waiting(platform):
    """A platform with one object to load."""
    platform.put(KEY, FILE)
    return platform


# --- what is wrong: each gives the environment of a run


def credentials(sandbox, folder, **documents):
    """The loader's credentials with some documents changed."""
    made = shutil.copytree(sandbox.settings.credentials_dir, folder / "credentials")
    for name, changes in documents.items():
        file = made / name.replace("_", "-")
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return sandbox.environ(sandbox.request(), credentials_dir=made)


def requested(sandbox, **changes):
    environ = sandbox.environ(sandbox.request())
    document = json.loads(environ[REQUEST_ENV]) | changes
    return environ | {REQUEST_ENV: json.dumps(document)}


def missing_bucket(sandbox, folder):
    return sandbox.environ(sandbox.request(source={"bucket": "no-such-bucket"}))


def missing_bucket_of_an_event(sandbox, folder):
    ref = sandbox.stored(KEY)
    return sandbox.environ(sandbox.request(ref, source={"bucket": "no-such-bucket"}))


def impossible_bucket(sandbox, folder):
    return sandbox.environ(sandbox.request(source={"bucket": "no such bucket"}))


def unknown_access_key(sandbox, folder):
    return credentials(sandbox, folder, object_store={"access_key": "UNKNOWN"})


def wrong_secret_key(sandbox, folder):
    return credentials(sandbox, folder, object_store={"secret_key": PASSWORD})


def wrong_keys_for_an_event(sandbox, folder):
    environ = credentials(sandbox, folder, object_store={"secret_key": PASSWORD})
    return environ | sandbox.request(sandbox.stored(KEY)).to_env()


def endpoint_is_no_url(sandbox, folder):
    return sandbox.environ(sandbox.request(), s3_endpoint="somewhere")


def nobody_at_the_endpoint(sandbox, folder):
    return sandbox.environ(sandbox.request(), s3_endpoint="http://127.0.0.1:1")


def wrong_password(sandbox, folder):
    return credentials(sandbox, folder, database={"password": PASSWORD})


def unknown_login(sandbox, folder):
    return credentials(sandbox, folder, database={"username": "nobody"})


def missing_database(sandbox, folder):
    return sandbox.environ(sandbox.request(), db_name="no_such_database")


def nobody_at_the_database(sandbox, folder):
    return sandbox.environ(sandbox.request(), db_host=folder)


def not_migrated(sandbox, folder):
    return sandbox.environ(sandbox.request(), db_schema="elsewhere")


def no_rights(sandbox, folder):
    login = unique("stranger")
    sandbox.services.postgres.create_login(login, PASSWORD)
    return credentials(sandbox, folder, database={"username": login, "password": PASSWORD})


def no_right_to_connect(sandbox, folder):
    environ = no_rights(sandbox, folder)
    login = json.loads((folder / "credentials" / "database").read_text())["username"]
    sandbox.query(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(login)))
    return environ


def no_request(sandbox, folder):
    return sandbox.environ()


def request_is_not_json(sandbox, folder):
    return sandbox.environ() | {REQUEST_ENV: '{"ingest": '}


def request_of_another_version(sandbox, folder):
    return requested(sandbox, apiVersion="run.minidata.io/v9")


def request_with_an_unknown_field(sandbox, folder):
    return requested(sandbox, colour="red")


def unknown_encoding(sandbox, folder):
    return sandbox.environ(sandbox.request(format={"encoding": "utf-9"}))


def no_credentials_folder(sandbox, folder):
    return sandbox.environ(sandbox.request(), credentials_dir=folder / "none")


def no_credentials_file(sandbox, folder):
    environ = credentials(sandbox, folder)
    (folder / "credentials" / "pseudonym").unlink()
    return environ


def credentials_are_not_json(sandbox, folder):
    environ = credentials(sandbox, folder)
    (folder / "credentials" / "database").write_text(PASSWORD)
    return environ


def a_port_that_is_no_number(sandbox, folder):
    return sandbox.environ(sandbox.request(), db_port="none")


CASES = {
    missing_bucket: (ExitCode.CONFIGURATION, "bucket.missing", "bucket no-such-bucket"),
    missing_bucket_of_an_event: (ExitCode.CONFIGURATION, "bucket.missing", "no-such-bucket"),
    impossible_bucket: (ExitCode.CONFIGURATION, "bucket.name", "no such bucket"),
    unknown_access_key: (ExitCode.CONFIGURATION, "bucket.denied", "secret `object-store`"),
    wrong_secret_key: (ExitCode.CONFIGURATION, "bucket.denied", "secret `object-store`"),
    wrong_keys_for_an_event: (ExitCode.CONFIGURATION, "bucket.denied", "secret `object-store`"),
    endpoint_is_no_url: (ExitCode.CONFIGURATION, "bucket.endpoint", "SALES_S3_ENDPOINT"),
    nobody_at_the_endpoint: (ExitCode.TEMPORARY, "bucket.unreachable", "http://127.0.0.1:1"),
    wrong_password: (ExitCode.CONFIGURATION, "database.login", "secret `database`"),
    unknown_login: (ExitCode.CONFIGURATION, "database.login", "secret `database`"),
    missing_database: (ExitCode.CONFIGURATION, "database.login", "no_such_database"),
    nobody_at_the_database: (ExitCode.TEMPORARY, "database.unreachable", "run again"),
    not_migrated: (ExitCode.CONFIGURATION, "database.schema", "sales-pipeline migrate"),
    no_rights: (ExitCode.CONFIGURATION, "database.schema", "etl_loader"),
    no_right_to_connect: (ExitCode.CONFIGURATION, "database.rights", "CONNECT"),
    no_request: (ExitCode.CONFIGURATION, "request.invalid", "--ingest FILE"),
    request_is_not_json: (ExitCode.CONFIGURATION, "request.invalid", REQUEST_ENV),
    request_of_another_version: (ExitCode.CONFIGURATION, "request.invalid", "apiVersion"),
    request_with_an_unknown_field: (ExitCode.CONFIGURATION, "request.invalid", "colour"),
    unknown_encoding: (ExitCode.CONFIGURATION, "request.encoding", "format.encoding"),
    no_credentials_folder: (ExitCode.CONFIGURATION, "credentials.missing", "none"),
    no_credentials_file: (ExitCode.CONFIGURATION, "credentials.missing", "pseudonym"),
    credentials_are_not_json: (ExitCode.CONFIGURATION, "credentials.invalid", "database"),
    a_port_that_is_no_number: (ExitCode.CONFIGURATION, "settings.invalid", "SALES_DB_PORT"),
}


def assert_untouched(sandbox):
    assert sandbox.listing() == [KEY]
    assert sandbox.read(KEY) == FILE
    assert sandbox.ledger("key") == []
    assert sandbox.value("SELECT count(*) FROM fact_sales") == 0


def assert_loads(sandbox):
    assert [result.fate for result in sandbox.sweep()] == [Fate.LOADED]
    assert sandbox.value("SELECT count(*) FROM fact_sales") == 10
    assert sandbox.listing() == [sandbox.ledger("archived_key")[0][0]]


def in_words(lines):
    return [line for line in lines if not line.startswith("{")]


@pytest.mark.parametrize("wrong", CASES, ids=lambda case: case.__name__)
def test_what_is_wrong(waiting, tmp_path, monkeypatch, wrong):
    """The exit code tells who must act, one line what, where and how; then the object loads."""
    no_pauses(monkeypatch)
    exit_code, code, word = CASES[wrong]
    log = tmp_path / "termination"
    environ = wrong(waiting, tmp_path) | {"SALES_TERMINATION_LOG": str(log)}

    ended = command("run", environ=environ)

    assert ended.code == exit_code
    (line,) = in_words(ended.err.splitlines())
    assert line.startswith("sales-pipeline: ")
    assert f"[{code}]" in line
    assert word in line
    assert PASSWORD not in ended.err + ended.out
    assert ended.out == ""
    assert_untouched(waiting)
    if log.exists():
        assert json.loads(log.read_text())["errors"][0]["code"] == code
    assert_loads(waiting)


@pytest.mark.parametrize("server", ["postgres", "s3"])
def test_server_is_down(waiting, monkeypatch, server):
    """With a server down the run ends as temporary; the next one after it is back succeeds."""
    no_pauses(monkeypatch)
    environ = waiting.environ(waiting.request())
    with getattr(waiting.services, server).outage():
        ended = command("run", environ=environ)
    assert ended.code == ExitCode.TEMPORARY
    assert "Nothing is lost: run again once it is up." in ended.last_words
    assert_untouched(waiting)
    assert_loads(waiting)


class TestLostOnTheWay:
    """A server goes away in the middle of a load."""

    @pytest.fixture
    def at(self, monkeypatch):
        """Have something happen just before the next call of a method, and once only."""
        no_pauses(monkeypatch)

        def arm(owner, name, act):
            original = getattr(owner, name)

            def wrapped(*args, **kwargs):
                monkeypatch.setattr(owner, name, original)
                act()
                return original(*args, **kwargs)

            monkeypatch.setattr(owner, name, wrapped)

        return arm

    @staticmethod
    def bounce(server):
        server.kill()
        server.start_again()

    def test_database_comes_back(self, waiting, at, caplog):
        """A crash of the database in mid-load is overcome within the run."""
        at(Load, "merge", lambda: self.bounce(waiting.services.postgres))
        assert_loads(waiting)
        assert "trying again" in caplog.text

    def test_database_crashes_after_the_commit(self, waiting, at):
        """With the load committed, what is left to do needs no database."""
        at(Bucket, "move", waiting.services.postgres.kill)
        (result,) = waiting.sweep()
        waiting.services.postgres.start_again()
        assert result.fate is Fate.LOADED
        assert waiting.listing() == [result.archived_key]

    def test_database_stays_away(self, waiting, at):
        """A database that does not come back fails the object, which stays where it is."""
        at(Load, "merge", waiting.services.postgres.kill)
        ended = command("run", environ=waiting.environ(waiting.request()))
        waiting.services.postgres.start_again()
        assert ended.code == ExitCode.TEMPORARY
        assert json.loads(ended.last_words)["report"]["files"]["failed"] == 1
        assert_untouched(waiting)
        assert_loads(waiting)

    @pytest.mark.parametrize("method", ["read", "_copy", "_delete"])
    def test_object_store_comes_back(self, waiting, at, method):
        """A crash of the object store at any of its steps is overcome within the run."""
        at(Bucket, method, lambda: self.bounce(waiting.services.s3))
        (result,) = waiting.sweep()
        assert (result.fate, result.rows.loaded) == (Fate.LOADED, 10)
        assert waiting.value("SELECT count(*) FROM fact_sales") == 10
        assert waiting.listing() == [result.archived_key]
        assert len(waiting.ledger("key")) == 1

    def test_answer_to_the_commit_is_lost(self, waiting, monkeypatch):
        """A commit that happened, but was not heard of, is found in the ledger."""
        no_pauses(monkeypatch)
        original = ObjectRun.load_once

        def deaf(run):
            monkeypatch.setattr(ObjectRun, "load_once", original)
            original(run)
            raise TemporaryError("no answer", where="", mend="", code="database.failed")

        monkeypatch.setattr(ObjectRun, "load_once", deaf)
        (result,) = waiting.sweep()
        assert result.fate is Fate.ALREADY_LOADED
        assert waiting.value("SELECT count(*) FROM fact_sales") == 10
        assert waiting.listing() == [result.archived_key]

    def test_backend_is_ended(self, waiting, at):
        """A session that an administrator ends costs a try, not the run."""

        def end_sessions():
            with psycopg.connect(waiting.services.postgres.dsn()) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [waiting.settings.db_name],
                )

        at(Load, "merge", end_sessions)
        assert_loads(waiting)

    def test_login_is_changed(self, waiting, at, tmp_path):
        """One that a human has made is a human's to mend, whatever it could do before."""
        login, other = unique("loader"), "another-password"
        waiting.services.postgres.create_login(login, PASSWORD)
        waiting.query(sql.SQL("GRANT etl_loader TO {}").format(sql.Identifier(login)))
        document = {"username": login, "password": PASSWORD}

        def change():
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            waiting.query(statement.format(sql.Identifier(login), sql.Literal(other)))
            waiting.query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s",
                [login],
            )

        at(Load, "merge", change)
        ended = command("run", environ=credentials(waiting, tmp_path, database=document))
        assert ended.code == ExitCode.CONFIGURATION
        assert "[database.login]" in ended.last_words
        assert_untouched(waiting)
        assert_loads(waiting)

    @pytest.fixture
    def told(self, platform, tmp_path):
        """Run what waits, as a Job does; tells the exit code and the report."""

        def run(**spec):
            log = tmp_path / "termination"
            environ = platform.environ(platform.request(**spec), termination_log=log)
            ended = command("run", environ=environ)
            return ended.code, RunReport.parse(log.read_bytes())

        return run

    @pytest.mark.parametrize(
        ("spec", "file"),
        [({}, "loaded"), ({"quality": {"maxRejectedRows": 0}}, "quarantined")],
        ids=["loaded", "refused"],
    )
    def test_archiving_needs_a_second_try(self, platform, at, told, spec, file):
        """The rows that a run has committed are in its report, once."""
        platform.put(KEY, as_csv([*sales(range(10)), sale(order(90), quantity=0)]))
        at(Bucket, "move", platform.services.s3.kill)
        at(Connections, "close", platform.services.s3.start_again)
        _, report = told(**spec)
        assert report.files.model_dump(exclude_defaults=True) == {file: 1}
        assert [tuple(report.rows.model_dump().values())] == platform.ledger(*COUNTS)
        assert (report.rows.read, report.reject_codes) == (11, {"quantity.range": 1})
        assert platform.listing("raw/") == []

    def test_archiving_needs_another_run(self, waiting, at, told):
        """The run that has committed the rows counts them, the one that archives does not."""
        at(Bucket, "move", waiting.services.s3.kill)
        code, first = told()
        waiting.services.s3.start_again()
        assert (code, first.files.failed, first.rows.loaded) == (ExitCode.TEMPORARY, 1, 10)
        code, second = told()
        assert (code, second.files.already_loaded, second.rows.read) == (ExitCode.DONE, 1, 0)
        assert waiting.listing("raw/") == []

    def test_tidying_up_after_a_reprocess_needs_a_second_try(self, waiting, at):
        """The object has left quarantine by then, and is neither read again nor taken for gone."""
        ref = waiting.stored(KEY)
        waiting.sweep(contract={"columns": {"quantity": {"from": "pieces"}}})
        at(archive, "forget_reason", waiting.services.s3.kill)
        at(Connections, "close", waiting.services.s3.start_again)
        (result,) = waiting.run(waiting.request(run="r2"), waiting.again(ref))
        assert (result.fate, result.rows.loaded) == (Fate.LOADED, 10)
        assert waiting.listing() == [result.archived_key]
        assert waiting.value("SELECT count(*) FROM ingest_object") == 2


def test_others_go_on(waiting, monkeypatch):
    """An object that fails for a while does not keep its neighbours from loading."""
    no_pauses(monkeypatch)
    waiting.put("raw/b.csv", as_csv(sales(range(20, 25))))
    original = Bucket.read

    def read(bucket, ref):
        if ref.key == KEY:
            raise TemporaryError("no answer", where=KEY, mend="", code="bucket.unreachable")
        return original(bucket, ref)

    monkeypatch.setattr(Bucket, "read", read)
    fates = {result.key: result.fate for result in waiting.sweep()}
    assert fates == {KEY: Fate.FAILED, "raw/b.csv": Fate.LOADED}
    monkeypatch.undo()
    assert [result.fate for result in waiting.sweep()] == [Fate.LOADED]


def test_absent_column(waiting):
    """A contract that names a column the file has not refuses the file, and says which."""
    contract = {"columns": {"quantity": {"from": "pieces"}}}
    ended = command("run", environ=waiting.environ(waiting.request(contract=contract)))
    assert ended.code == ExitCode.DATA
    (archived,) = waiting.ledger("archived_key", "error_code")
    assert archived[1] == "file.columns_missing"
    reason = json.loads(waiting.read(f"{archived[0]}.reason.json"))
    assert reason["what"].endswith("lacks: pieces")
    assert "contract.columns" in reason["mend"]
