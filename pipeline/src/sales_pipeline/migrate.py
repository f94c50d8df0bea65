"""Brings the schema up to date: numbered SQL files, each applied once, under one lock.

Run by its own command with the owner's login; the loader's has not the rights, and needs none.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from sales_pipeline.errors import ConfigurationError
from sales_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    script: str

    @property
    def digest(self) -> str:
        """SHA-256 of the script, in hex."""
        return hashlib.sha256(self.script.encode()).hexdigest()


def migrations() -> Iterator[Migration]:
    """All migrations there are, in order."""
    folder = files("sales_pipeline") / "sql" / "migrations"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        yield Migration(int(file.name[:4]), file.name, file.read_text("utf-8"))


def migrate(warehouse: Warehouse, schema: str) -> list[str]:
    """Apply what is not yet applied, all in one transaction.

    Returns:
        The names of the files applied; none if the schema was up to date.

    Raises:
        ConfigurationError: An applied file is not what it was, or the login has not the rights.
    """
    with warehouse.transaction():
        warehouse.lock(f"migrate:{schema}")
        warehouse.use_schema(schema)
        warehouse.execute_script(_LEDGER)
        done = dict(warehouse.query("SELECT version, sha256 FROM schema_migration"))
        return [m.name for m in migrations() if _apply(warehouse, m, done)]


_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def _apply(warehouse: Warehouse, migration: Migration, done: dict[int, str]) -> bool:
    known = done.get(migration.version)
    if known is None:
        warehouse.execute_script(migration.script)
        warehouse.query(
            "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
            (migration.version, migration.name, migration.digest),
        )
    elif known != migration.digest:
        raise ConfigurationError(
            "the migration was applied in another form",
            where=migration.name,
            mend="Use the version of the pipeline that applied it, or a later one.",
            code="database.migration_changed",
        )
    return known is None
