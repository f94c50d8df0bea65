"""The door to PostgreSQL: the only importer of psycopg. SQL lives in the files under sql/.

What the driver says may quote the data, so it never passes this door: errors leave as ours, told
apart by SQLSTATE.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import IO, Any, Self

import psycopg
from psycopg import sql

from sales_pipeline.credentials import DatabaseLogin
from sales_pipeline.errors import ConfigurationError, PipelineError, TemporaryError
from sales_pipeline.settings import Settings

_PIECE_BYTES = 1024 * 1024

Params = Mapping[str, Any]

_TRANSIENT_CLASSES = {"08", "40", "53", "57", "55"}
"""Connection lost, conflict between transactions, resources short, server stopping, lock busy."""


_NOT_LET_IN = ("permission denied for database", "not permitted to log in", "pg_hba.conf")


class LoginRefusedError(ConfigurationError):
    """The server is there, and does not let this login in."""


class Warehouse:
    """One connection to the database of the star schema."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], where: str) -> None:
        self._connection = connection
        self._where = where

    @classmethod
    def connect(cls, settings: Settings, login: DatabaseLogin) -> Self:
        """Connect, with the schema on the search path.

        Raises:
            LoginRefusedError: The login or the database is refused.
            ConfigurationError: The certificate is.
            TemporaryError: The server cannot be reached.
        """
        where = f"database {settings.db_name} at {settings.db_host}:{settings.db_port}"
        try:
            connection = psycopg.connect(**_connection_options(settings, login))
        except psycopg.OperationalError as error:
            raise _connect_error(error, where) from None
        return cls(connection, where)

    def close(self) -> None:
        """Give the connection back; an open transaction is undone."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is done inside."""
        with self.translated_errors(), self._connection.transaction():
            yield

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except psycopg.Error as error:
            raise _database_error(error, self._where) from None

    def run(self, name: str, params: Params | None = None) -> int:
        """Run the statements of sql/NAME.sql; tells the rows that the last one touched."""
        with self.translated_errors():
            return self._connection.execute(_statement(name), params).rowcount

    def rows(self, name: str, params: Params | None = None) -> list[dict[str, Any]]:
        """The rows that the query in sql/NAME.sql finds, by column name."""
        with self.translated_errors():
            cursor = self._connection.execute(_statement(name), params)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def value(self, name: str, params: Params | None = None) -> int:
        """The one number that the query in sql/NAME.sql finds."""
        with self.translated_errors():
            row = self._connection.execute(_statement(name), params).fetchone()
        return int(row[0]) if row else 0

    def lock(self, name: str) -> None:
        """Wait for, and hold to the end of the transaction, the lock of this name."""
        with self.translated_errors():
            self._connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,)
            )

    def execute_script(self, script: str) -> None:
        """Run a trusted script of the project, such as a migration."""
        with self.translated_errors():
            self._connection.execute(script.encode())

    def query(
        self, statement: str, params: Sequence[object] | Params | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows that a short trusted statement finds, or none."""
        with self.translated_errors():
            cursor = self._connection.execute(statement.encode(), params)
            return cursor.fetchall() if cursor.description else []

    def copy(self, table: str, rows: IO[bytes]) -> None:
        """Append rows, CSV in the order of the table's columns, by COPY."""
        statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(sql.Identifier(table))
        with self.translated_errors(), self._connection.cursor().copy(statement) as copy:
            while piece := rows.read(_PIECE_BYTES):
                copy.write(piece)

    def use_schema(self, schema: str) -> None:
        """Create a schema if need be and put it first on the search path."""
        name = sql.Identifier(schema)
        with self.translated_errors():
            self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            self._connection.execute(sql.SQL("SET search_path = {}").format(name))


@cache
def _statement(name: str) -> bytes:
    return (files("sales_pipeline") / "sql" / f"{name}.sql").read_bytes()


def _connection_options(settings: Settings, login: DatabaseLogin) -> dict[str, Any]:
    tls: dict[str, str] = {"sslmode": settings.db_sslmode}
    if settings.db_ssl_root_cert:
        tls["sslrootcert"] = str(settings.db_ssl_root_cert)
    return {
        "host": settings.db_host,
        "port": settings.db_port,
        "dbname": settings.db_name,
        "user": login.username,
        "password": login.password.get_secret_value(),
        "application_name": "sales-pipeline",
        "connect_timeout": settings.db_connect_timeout_seconds,
        # A database that is gone without a word must not hold a run for hours.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": f"-c search_path={settings.db_schema} -c timezone=UTC -c datestyle=ISO",
        "autocommit": True,
        **tls,
    }


def _connect_error(error: psycopg.OperationalError, where: str) -> PipelineError:
    """What is wrong with a connection that was not made; libpq tells it in words only."""
    words = str(error)
    if "authentication failed" in words or "no password supplied" in words:
        mend = "Check the secret `database`, or in which database Vault makes logins."
        return _not_let_in("the login is refused", where, mend, "database.login")
    if "does not exist" in words and ("database" in words or "role" in words):
        mend = "Check SALES_DB_NAME and the secret `database`."
        return _not_let_in("the database or the role does not exist", where, mend, "database.login")
    if any(reason in words for reason in _NOT_LET_IN):
        mend = "Grant it LOGIN and CONNECT, and have pg_hba.conf let it in."
        return _not_let_in("the login may not connect", where, mend, "database.rights")
    if "certificate" in words or "SSL" in words:
        mend = "Check SALES_DB_SSLMODE and SALES_DB_SSL_ROOT_CERT, and the server's certificate."
        return _refused("the connection is not secure", where, mend, "database.tls")
    return TemporaryError(
        "the database cannot be reached",
        where=where,
        mend="Nothing is lost: run again once it is up.",
        code="database.unreachable",
    )


def _not_let_in(what: str, where: str, mend: str, code: str) -> LoginRefusedError:
    return LoginRefusedError(what, where=where, mend=mend, code=code)


def _refused(what: str, where: str, mend: str, code: str) -> ConfigurationError:
    return ConfigurationError(what, where=where, mend=mend, code=code)


def _database_error(error: psycopg.Error, where: str) -> PipelineError:
    state = error.sqlstate or "08000"
    if state[:2] in _TRANSIENT_CLASSES:
        return TemporaryError(
            f"the database failed (SQLSTATE {state})",
            where=where,
            mend="Nothing is lost: run again.",
            code="database.failed",
        )
    if state in {"42P01", "3F000", "42703"}:
        # A schema that the login has no right to use looks to it like one that is not there.
        mend = (
            "Run `sales-pipeline migrate` with the owner's login, and make the pipeline's login"
            " a member of etl_loader."
        )
        return _refused("the schema is absent or not up to date", where, mend, "database.schema")
    if state == "42501":
        mend = "Make the login a member of etl_loader (for a migration: the owner)."
        return _refused("the login has not the rights", where, mend, "database.rights")
    constraint = f", constraint {error.diag.constraint_name}" if error.diag.constraint_name else ""
    return ConfigurationError(
        f"the database refused a statement (SQLSTATE {state}{constraint})",
        where=where,
        mend="This is a defect of the pipeline: report it with this line.",
        code="database.refused",
    )
