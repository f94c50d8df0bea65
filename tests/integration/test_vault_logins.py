"""Runs with a login to the database that Vault makes: real OpenBao, real PostgreSQL.

Whatever comes of a run, nothing of it is left: no login, no token, and no object that is lost.
"""

import signal
import subprocess
import sys

import pytest

from sales_api.report import ExitCode, Fate, RunReport
from sales_pipeline.bucket import Bucket
from sales_pipeline.load import Load
from sales_pipeline.warehouse import Warehouse
from tests.support.command import command
from tests.support.kubernetes import ACCOUNT
from tests.support.platform import ROOT, no_pauses
from tests.support.sales_file import as_csv, sales
from tests.support.vault import running_vault
from tests.support.vault_layout import ROLE, laid_out
from tests.support.waiting import until

pytestmark = pytest.mark.integration

KEY = "raw/a.csv"
FILE = as_csv(sales(range(10)))
LIVES_SECONDS = 3600
"""A token; a login where nothing else is said."""


@pytest.fixture(scope="module")
def laid(installation, tmp_path_factory):
    with laid_out(tmp_path_factory.mktemp("vault"), installation.services) as made:
        yield made


@pytest.fixture
def waiting(platform, laid):
    """A platform with one object to load, whose secrets Vault has."""
    platform.put(KEY, FILE)
    with laid.serving(platform):
        yield platform


class Direct:
    """The environment of a run that asks Vault itself."""

    def __init__(self, laid, folder):
        self.laid = laid
        self.folder = folder
        self.token_file = folder / "token"
        self.token_file.write_text(laid.kubernetes.issue())

    def __call__(self, platform, **changes):
        settings = {
            "credentials": "direct",
            "credentials_dir": self.folder / "absent",
            "vault_addr": self.laid.vault.address,
            "vault_ca_file": self.laid.vault.ca_file,
            "vault_token_file": self.token_file,
            "deadline_seconds": LIVES_SECONDS,
        }
        return platform.environ(platform.request(), **settings | changes)


@pytest.fixture
def direct(laid, tmp_path):
    return Direct(laid, tmp_path)


@pytest.fixture
def nothing_stays(laid, waiting):
    """After the test Vault has the tokens it had before, and no login is left.

    That is looked at before `waiting` cleans up, so it comes after it.
    """
    before = laid.tokens()
    yield
    laid.await_no_logins()
    assert laid.tokens() == before


def assert_untouched(platform):
    assert platform.listing() == [KEY]
    assert platform.ledger("key") == []
    assert [result.fate for result in platform.sweep()] == [Fate.LOADED]


def only_line(ended):
    """The one line in words that a failed command leaves."""
    (line,) = [line for line in ended.err.splitlines() if not line.startswith("{")]
    return line


# --- how it should be


@pytest.mark.usefixtures("nothing_stays")
def test_a_run_has_a_login_of_its_own(waiting, direct, monkeypatch):
    seen = []
    merge = Load.merge

    def watched(*args, **kwargs):
        seen.extend(direct.laid.logins())
        return merge(*args, **kwargs)

    monkeypatch.setattr(Load, "merge", watched)
    assert command("run", environ=direct(waiting)).code == ExitCode.DONE
    assert waiting.ledger("status") == [("loaded",)]
    assert len(seen) == 1


@pytest.mark.usefixtures("nothing_stays")
def test_who_only_asks_the_ledger_needs_no_more_than_a_login(waiting, direct):
    ended = command("history", "--bucket", waiting.bucket, environ=direct(waiting))
    assert ended.code == ExitCode.DONE


@pytest.mark.usefixtures("nothing_stays")
def test_a_run_that_fails_leaves_no_login(waiting, direct):
    request = waiting.request(source={"bucket": "no-such-bucket"})
    ended = command("run", environ=direct(waiting) | request.to_env())
    assert "[bucket.missing]" in only_line(ended)


@pytest.mark.usefixtures("nothing_stays")
def test_a_run_that_crashes_leaves_no_login(waiting, direct, monkeypatch):
    def crash(*_):
        raise RuntimeError

    monkeypatch.setattr(Load, "merge", crash)
    assert command("run", environ=direct(waiting)).code == 1
    monkeypatch.undo()
    assert_untouched(waiting)


@pytest.mark.usefixtures("nothing_stays")
def test_a_run_that_is_told_to_end_leaves_no_login(waiting, direct):
    """SIGTERM, as a drained node sends it, in the middle of a load."""
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'v-%' AND wait_event_type='Lock'"
    )
    program = [sys.executable, "-m", "sales_pipeline", "run"]
    with waiting.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE ingest_object IN ACCESS EXCLUSIVE MODE")
        run = subprocess.Popen(
            program,
            cwd=ROOT,
            env=direct(waiting),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        until(lambda: run.poll() is not None or waiting.value(busy))
        run.send_signal(signal.SIGTERM)
        _, words = run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGTERM, words
    assert_untouched(waiting)


def test_a_token_that_may_not_be_revoked_fails_no_run(waiting, direct, laid):
    """It is left to its time to live, and the login with it."""
    with laid.vault.root() as root:
        role = root.auth.kubernetes.read_role(ROLE)
        unrevokable = {**role, "token_no_default_policy": True}
        root.write_data("auth/kubernetes/role/bare", data=unrevokable)
    ended = command("run", environ=direct(waiting, vault_role="bare"))
    assert ended.code == ExitCode.DONE
    assert "the Vault token was not revoked" in ended.err
    assert len(laid.logins()) == 1


# --- how long it lives


@pytest.mark.usefixtures("nothing_stays")
def test_a_login_that_may_end_before_the_run_is_refused(waiting, direct, laid):
    laid.let_live("10m")
    ended = command("run", environ=direct(waiting))
    assert ended.code == ExitCode.CONFIGURATION
    assert "lives 600 s, but the run may take 3600 s [vault.lease]" in only_line(ended)
    assert_untouched(waiting)


@pytest.mark.usefixtures("nothing_stays")
def test_a_login_lives_no_longer_than_its_token(waiting, direct):
    """Both of an hour serve a run of an hour, and none that may take a second more."""
    ended = command("run", environ=direct(waiting, deadline_seconds=LIVES_SECONDS + 1))
    assert "[vault.lease]" in only_line(ended)
    with direct.laid.vault.root() as root:
        role = root.auth.kubernetes.read_role(ROLE)
        root.write_data("auth/kubernetes/role/brief", data={**role, "token_ttl": 300})
    ended = command("run", environ=direct(waiting, vault_role="brief"))
    assert "lives 300 s" in only_line(ended)


@pytest.mark.usefixtures("nothing_stays")
def test_without_a_deadline_any_login_will_do(waiting, direct, laid):
    laid.let_live("10m")
    environ = direct(waiting)
    del environ["SALES_DEADLINE_SECONDS"]
    assert command("run", environ=environ).code == ExitCode.DONE


# --- what is wrong: each gives the environment of a run


def another_account(direct, platform):
    direct.token_file.write_text(direct.laid.kubernetes.issue(account="default"))
    return direct(platform)


def another_audience(direct, platform):
    direct.token_file.write_text(direct.laid.kubernetes.issue(audience="api"))
    return direct(platform)


def expired_token(direct, platform):
    direct.token_file.write_text(direct.laid.kubernetes.issue(seconds=-60))
    return direct(platform)


def another_auth_method(direct, platform):
    return direct(platform, vault_auth_path="elsewhere")


def no_such_logins(direct, platform):
    return direct(platform, vault_database_path="database/creds/unknown")


def forbidden_logins(direct, platform):
    return direct(platform, vault_database_path="database/creds/owner")


def no_login_in_the_engine_nor_the_folder(direct, platform):
    return direct(platform, vault_database_path="")


def deleted_keys(direct, platform):
    with direct.laid.vault.root() as root:
        kv = root.secrets.kv.v2
        kv.delete_latest_version_of_secret("sales/object-store", mount_point="kv")
    return direct(platform)


CASES = {
    another_account: ("vault.login", ACCOUNT),
    another_audience: ("vault.login", "audience `vault`"),
    expired_token: ("vault.login", ACCOUNT),
    another_auth_method: ("vault.login", ACCOUNT),
    no_such_logins: ("vault.missing", "SALES_VAULT_DATABASE_PATH"),
    forbidden_logins: ("vault.forbidden", "database/creds/owner"),
    no_login_in_the_engine_nor_the_folder: ("vault.forbidden", "kv/data/sales/database"),
    deleted_keys: ("vault.missing", "kv/data/sales/object-store"),
}


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("wrong", CASES, ids=lambda case: case.__name__)
def test_a_human_must_act(waiting, direct, wrong):
    code, word = CASES[wrong]
    ended = command("run", environ=wrong(direct, waiting))
    assert ended.code == ExitCode.CONFIGURATION
    assert f"[{code}]" in only_line(ended)
    assert word in only_line(ended)
    assert_untouched(waiting)


@pytest.mark.usefixtures("nothing_stays")
def test_a_login_that_is_refused_at_once_is_for_a_human(waiting, direct, monkeypatch):
    """That it was revoked is not the likely reason, if there are only seconds for it."""
    once(monkeypatch, Warehouse, "connect", lambda: revoke(direct))
    ended = command("run", environ=direct(waiting))
    assert ended.code == ExitCode.CONFIGURATION
    assert "[database.login]" in only_line(ended)
    assert_untouched(waiting)


# --- what ends before the run does: the next one begins anew


def revoked(direct, platform):
    """As the chart has it: sessions first, then the role."""
    end_sessions(platform)
    revoke(direct)


def run_out(direct, platform):
    """Before Vault, which may be away, has removed it."""
    (name,) = direct.laid.logins()
    platform.query(f"ALTER ROLE \"{name}\" VALID UNTIL '2000-01-01'")
    end_sessions(platform)


def end_sessions(platform):
    platform.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE 'v-%'"
    )


def revoke(direct):
    with direct.laid.vault.root() as root:
        root.sys.revoke_prefix("database/creds")
    direct.laid.await_no_logins()


def once(monkeypatch, owner, name, act):
    """Have something happen just before the next call of a method."""
    original = getattr(owner, name)

    def wrapped(*args, **kwargs):
        monkeypatch.setattr(owner, name, original)
        act()
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wrapped)


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("ends", [revoked, run_out], ids=lambda case: case.__name__)
def test_a_login_that_ends_in_a_load_ends_the_run(waiting, direct, monkeypatch, ends):
    """There is one more try, which tells why; then the object is left to the next run."""
    no_pauses(monkeypatch)
    once(monkeypatch, Load, "merge", lambda: ends(direct, waiting))
    ended = command("run", environ=direct(waiting))
    assert ended.code == ExitCode.TEMPORARY
    assert "revoked or ran out [database.login_ended]. Nothing is lost" in only_line(ended)
    assert ended.err.count("trying again") == 1
    assert waiting.listing() == [KEY]
    assert command("run", environ=direct(waiting)).code == ExitCode.DONE
    assert waiting.ledger("status") == [("loaded",)]


@pytest.mark.usefixtures("nothing_stays")
def test_a_session_that_outlives_its_login_ends_the_run(waiting, direct, monkeypatch):
    """To a role that is gone the schema seems to be missing; what was done before counts."""
    waiting.put("raw/b.csv", as_csv(sales(range(20, 25))))
    once(monkeypatch, Bucket, "move", lambda: revoke(direct))
    log = direct.folder / "termination"
    ended = command("run", environ=direct(waiting, termination_log=log))
    report = RunReport.parse(log.read_bytes())
    assert ended.code == report.exit_code == ExitCode.TEMPORARY
    assert [error.code for error in report.errors] == ["database.login_ended"]
    assert (report.files.loaded, report.rows.loaded) == (1, 10)
    assert waiting.listing("raw/") == ["raw/b.csv"]
    assert command("run", environ=direct(waiting)).code == ExitCode.DONE


@pytest.mark.usefixtures("nothing_stays")
def test_what_a_good_login_is_refused_is_for_a_human(waiting, direct, monkeypatch):
    waiting.put("raw/b.csv", as_csv(sales(range(20, 25))))
    move_away = "ALTER SCHEMA sales RENAME TO elsewhere"
    once(monkeypatch, Bucket, "move", lambda: waiting.query(move_away))
    ended = command("run", environ=direct(waiting))
    assert ended.code == ExitCode.CONFIGURATION
    assert "[database.schema]" in only_line(ended)


@pytest.mark.usefixtures("nothing_stays")
def test_logins_to_a_database_that_is_down_come_later(waiting, direct, monkeypatch):
    no_pauses(monkeypatch)
    with waiting.services.postgres.outage():
        ended = command("run", environ=direct(waiting))
    assert ended.code == ExitCode.TEMPORARY
    assert "[vault.unavailable]" in only_line(ended)
    assert_untouched(waiting)


def test_a_sealed_vault_is_opened_by_somebody(waiting, direct, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    with running_vault(folder) as other:
        with other.root() as root:
            root.sys.seal()
        where = {"vault_addr": other.address, "vault_ca_file": other.ca_file}
        ended = command("run", environ=direct(waiting, **where))
    assert ended.code == ExitCode.TEMPORARY
    assert "[vault.unavailable]" in only_line(ended)
    assert_untouched(waiting)
