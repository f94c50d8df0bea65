"""The physical limit: COPY of the same file, as it is, into a staging table of text columns.

A plain table, logged as the star is, without key or index; nothing is looked at on the way.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

_CHUNK_BYTES = 1024 * 1024


def prepare(job: dict[str, Any]) -> Callable[[], int]:
    """The table is there."""
    with Path(job["file"]).open() as file:
        names = file.readline().strip().split(",")
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in names)
    with psycopg.connect(job["dsn"]) as connection:
        connection.execute(sql.SQL("CREATE TABLE staging ({})").format(columns))

    def work() -> int:
        with psycopg.connect(job["dsn"]) as connection, connection.cursor() as cursor:
            statement = "COPY staging FROM STDIN (FORMAT csv, HEADER)"
            with cursor.copy(statement) as copy, Path(job["file"]).open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    copy.write(chunk)
            return cursor.rowcount

    return work
