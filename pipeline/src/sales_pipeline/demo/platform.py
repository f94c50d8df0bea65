"""Installs the platform's database roles, schema, bucket and credential files on embedded servers.

The same separation as in production: an owner that migrates, a loader that only writes rows, a
reader for dashboards; each with a password made on the spot and kept in files, as Vault's agent
would render them.
"""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from sales_pipeline.credentials import open_database_login
from sales_pipeline.demo.services import EmbeddedServices
from sales_pipeline.migrate import migrate
from sales_pipeline.settings import PREFIX, Settings
from sales_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Platform:
    """An installed platform."""

    settings: Settings
    """Those of the pipeline, with the loader's credentials."""
    owner: Settings
    """Those of the migrator, with the owner's."""
    bucket: str
    reader_dsn: str
    """For dashboards: may read, and nothing else."""

    def environ(self) -> dict[str, str]:
        """The settings as environment variables."""
        values = self.settings.model_dump(exclude_defaults=True, mode="json")
        return {PREFIX + name.upper(): str(value) for name, value in values.items()}


def install(services: EmbeddedServices, folder: Path, *, name: str, bucket: str) -> Platform:
    """Make a database `name` with its roles and schema, and credential files in `folder`."""
    names = {role: f"{name}_{role}" for role in ("owner", "loader", "reader")}
    passwords = {role: secrets.token_urlsafe(24) for role in names}
    for role, login in names.items():
        services.postgres.create_login(login, passwords[role])
    services.postgres.create_database(name, names["owner"])
    _as_superuser(services, name, [("ALTER ROLE {} CREATEROLE", names["owner"])])
    key = {"key": base64.b64encode(secrets.token_bytes(32)).decode(), "key_version": 1}
    made = {
        role: _settings(services, name, _write(folder / role, services, names[role], password, key))
        for role, password in passwords.items()
    }
    migrate_schema(made["owner"])
    _as_superuser(
        services,
        name,
        [
            ("GRANT etl_loader TO {}", names["loader"]),
            ("GRANT metabase_reader TO {}", names["reader"]),
            # Both are groups of the whole server: the first to migrate made them.
            ("ALTER ROLE {} NOCREATEROLE", names["owner"]),
        ],
    )
    dsn = services.postgres.dsn(name, names["reader"], passwords["reader"])
    return Platform(made["loader"], made["owner"], bucket, dsn)


def migrate_schema(owner: Settings) -> list[str]:
    """Bring the schema up to date with the owner's login."""
    with open_database_login(owner) as login, Warehouse.connect(owner, login) as warehouse:
        return migrate(warehouse, owner.db_schema)


def _as_superuser(
    services: EmbeddedServices, database: str, statements: list[tuple[str, str]]
) -> None:
    with psycopg.connect(services.postgres.dsn(database), autocommit=True) as connection:
        for statement, role in statements:
            connection.execute(sql.SQL(statement).format(sql.Identifier(role)))


def _write(
    folder: Path, services: EmbeddedServices, login: str, password: str, key: dict[str, object]
) -> Path:
    folder.mkdir(parents=True, mode=0o700)
    documents = {
        "database": {"username": login, "password": password},
        "object-store": {
            "access_key": services.s3.access_key,
            "secret_key": services.s3.secret_key,
        },
        "pseudonym": key,
    }
    for document, content in documents.items():
        file = folder / document
        file.touch(mode=0o600)
        file.write_text(json.dumps(content), encoding="utf-8")
    return folder


def _settings(services: EmbeddedServices, database: str, credentials: Path) -> Settings:
    return Settings(
        s3_endpoint=services.s3.endpoint,
        s3_region=services.s3.region,
        db_host=services.postgres.host,
        db_port=services.postgres.port,
        db_name=database,
        # A unix socket: there is no wire to listen on.
        db_sslmode="disable",
        credentials_dir=credentials,
    )
