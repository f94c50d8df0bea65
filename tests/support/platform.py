"""A whole platform for one test: a fresh database and bucket, and the doors to look into both.

Roles, credentials and schema are made once for a session; each test gets a copy of that database.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from sales_api.request import ObjectRef, RunRequest
from sales_pipeline import batch
from sales_pipeline.batch import connections, first_readings, process_all
from sales_pipeline.demo import platform as demo
from sales_pipeline.demo.server import EmbeddedServer
from sales_pipeline.demo.services import EmbeddedServices
from sales_pipeline.run import Result, Work
from sales_pipeline.settings import PREFIX, Settings
from tests.support.checksum import Star, checksum, star
from tests.support.services import unique

ROOT = Path(__file__).parents[2]
UPLOADED = datetime(2024, 6, 1, 12, tzinfo=UTC)
"""When an object came, where a test wants to say so."""


def no_pauses(monkeypatch):
    """Let tries follow each other at once."""
    monkeypatch.setattr(batch, "_FIRST_PAUSE_SECONDS", 0)


def run(settings: Settings, request: RunRequest, *works: Work) -> list[Result]:
    """As `Sandbox.run`; also for a process elsewhere, which a sandbox cannot be sent to."""
    with connections(settings, request.source.bucket) as opened:
        found = request.objects or batch.sweep(opened.doors().bucket, request.source)
        return list(process_all(works or first_readings(found), request, opened))


def clear(s3: Any, bucket: str) -> bool:
    """Delete every version of every object; whether the bucket is as good as new then."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
        if objects:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    listing = s3.list_object_versions(Bucket=bucket)
    return not listing.get("Versions") and not listing.get("DeleteMarkers")


@dataclass(frozen=True)
class Installation:
    """Servers with the platform's roles, and a migrated database to copy."""

    services: EmbeddedServices
    template: demo.Platform
    cache: Path
    """For compiled modules, so that the many processes of the tests start quickly."""
    buckets: dict[bool, list[str]] = field(default_factory=lambda: {True: [], False: []})
    """Empty ones, those with versions and those without."""

    @classmethod
    def make(cls, services: EmbeddedServices, folder: Path) -> Self:
        made = demo.install(services, folder / "roles", name=unique("template"), bucket="none")
        return cls(services, made, folder / "cache")

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """A copy of the migrated database, or a bare one, dropped afterwards."""
        name, made = unique("copy"), self.template.settings.db_name
        template = made if migrated else "template0"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
            *map(sql.Identifier, (name, template, f"{made}_owner"))
        )
        with psycopg.connect(self.services.postgres.dsn(), autocommit=True) as connection:
            connection.execute(statement)
        try:
            yield name
        finally:
            self.services.postgres.start_again()
            self.services.postgres.drop_database(name)

    @contextmanager
    def bucket(self, s3: Any, *, versioned: bool) -> Iterator[str]:
        """An empty bucket; emptied afterwards and used again, since a new one is slow at first."""
        empty = self.buckets[versioned]
        if not empty:
            empty.append(unique("sandbox").replace("_", "-"))
            self.services.s3.create_bucket(empty[-1], versioned=versioned)
        name = empty.pop()
        try:
            yield name
        finally:
            self.services.s3.start_again()
            if clear(s3, name):
                empty.append(name)

    @contextmanager
    def sandbox(self, *, versioned: bool = True, migrated: bool = True) -> Iterator["Sandbox"]:
        """A fresh platform."""
        with (
            closing(self.services.s3.client()) as s3,
            self.bucket(s3, versioned=versioned) as bucket,
            self.database(migrated=migrated) as name,
        ):
            yield Sandbox(
                services=self.services,
                settings=self.template.settings.model_copy(update={"db_name": name}),
                owner=self.template.owner.model_copy(update={"db_name": name}),
                reader_dsn=psycopg.conninfo.make_conninfo(self.template.reader_dsn, dbname=name),
                bucket=bucket,
                s3=s3,
                cache=self.cache,
                logs=[_Log.now(server) for server in (self.services.postgres, self.services.s3)],
            )


@dataclass(frozen=True)
class _Log:
    """A server's log, which all tests share, from a certain moment."""

    path: Path
    start: int

    @classmethod
    def now(cls, server: EmbeddedServer) -> Self:
        path = server._program.log
        return cls(path, path.stat().st_size)

    def read(self) -> bytes:
        return self.path.read_bytes()[self.start :]


@dataclass(frozen=True)
class Sandbox:
    """A platform of a test's own."""

    services: EmbeddedServices
    settings: Settings
    """The pipeline's, with the loader's credentials."""
    owner: Settings
    reader_dsn: str
    bucket: str
    s3: Any = field(repr=False)
    cache: Path
    logs: list["_Log"] = field(repr=False)

    # --- the bucket

    def put(self, key: str, body: bytes, modified_at: datetime | None = None) -> ObjectRef:
        """Upload an object; tells it as an event would."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return ObjectRef(
            key=key,
            version_id=answer.get("VersionId"),
            etag=answer["ETag"],
            size=len(body),
            modified_at=modified_at or UPLOADED,
        )

    def listing(self, prefix: str = "") -> list[str]:
        """The keys there are, in order."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def traces(self, prefix: str) -> list[str]:
        """The keys of all versions and delete markers, each as often as it has them."""
        listing = self.s3.list_object_versions(Bucket=self.bucket, Prefix=prefix)
        kinds = [listing.get(kind, []) for kind in ("Versions", "DeleteMarkers")]
        return sorted(entry["Key"] for kind in kinds for entry in kind)

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    # --- the database

    def connect(self) -> psycopg.Connection:
        """As superuser, who sees everything."""
        return psycopg.connect(
            self.services.postgres.dsn(self.settings.db_name),
            autocommit=True,
            options=f"-c search_path={self.settings.db_schema}",
        )

    def query(self, statement: str, params: Any = None) -> list[tuple]:
        with closing(self.connect()) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, params: Any = None) -> Any:
        return self.query(statement, params)[0][0]

    @property
    def pseudonym_key(self) -> bytes:
        document = json.loads((self.settings.credentials_dir / "pseudonym").read_text())
        return base64.b64decode(document["key"])

    def ledger(self, *columns: str) -> list[tuple]:
        """These columns of the rows that count, in the order of their objects' keys."""
        return self.query(
            f"SELECT {', '.join(columns)} FROM ingest_object"
            " WHERE superseded_by IS NULL ORDER BY key, object_id"
        )

    def checksum(self) -> str:
        with closing(self.connect()) as connection:
            return checksum(connection)

    def star(self) -> Star:
        with closing(self.connect()) as connection:
            return star(connection)

    # --- the pipeline

    def request(self, *objects: ObjectRef, run: str = "r1", **spec: Any) -> RunRequest:
        source = {"bucket": self.bucket, **spec.pop("source", {})}
        return RunRequest.model_validate(
            {"ingest": "sales/test", "run": run, "source": source, "objects": objects, **spec}
        )

    def run(self, request: RunRequest, *works: Work) -> list[Result]:
        """Process the request's objects, or these works, or what waits under the prefix."""
        return run(self.settings, request, *works)

    def sweep(self, **spec: Any) -> list[Result]:
        return self.run(self.request(**spec))

    def again(self, ref: ObjectRef) -> Work:
        """The second reading of an object, from where the ledger says that it lies."""
        statement = (
            "SELECT archived_key FROM ingest_object"
            " WHERE key = %s AND etag = %s AND superseded_by IS NULL"
        )
        key = self.value(statement, [ref.key, ref.etag])
        return Work(ref, self.stored(key), again=True)

    def stored(self, key: str) -> ObjectRef:
        """An object as it lies in the bucket now."""
        head = self.s3.head_object(Bucket=self.bucket, Key=key)
        return ObjectRef(
            key=key,
            version_id=head.get("VersionId"),
            etag=head["ETag"],
            size=head["ContentLength"],
            modified_at=head["LastModified"],
        )

    def with_settings(self, **changes: Any) -> "Sandbox":
        return replace(self, settings=self.settings.model_copy(update=changes))

    def environ(self, request: RunRequest | None = None, **settings: Any) -> dict[str, str]:
        """What a Job's pod finds in its environment."""
        values = self.settings.model_dump(exclude_defaults=True, mode="json") | settings
        variables = {PREFIX + name.upper(): str(value) for name, value in values.items()}
        return variables | (request.to_env() if request else {})

    def spawn(self, *command: str, environ: dict[str, str], check: bool = False):
        """Run a module of Python in a process of its own, to its end."""
        cache = {"PYTHONPYCACHEPREFIX": str(self.cache), "PYTHONDONTWRITEBYTECODE": ""}
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=os.environ | cache | environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )
