"""The ground all sides stand on: the same two servers, and for each run a place of its own.

A place is a database cloned from an installed template, and an empty bucket; both are gone after
the run, so that no side pays for what another left behind.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from sales_pipeline.demo.platform import Platform, install
from sales_pipeline.demo.services import EmbeddedServices
from sales_pipeline.generate import ChunkReader, GenerateSpec, Tally, file_name, iter_csv
from sales_pipeline.generate_rows import order_id

TEMPLATE = "bench_template"
PREFILLED = "bench_prefilled"
PREFIX = "raw/"
KEYS_PER_GAP = 100
"""The prefilled keys lie in the gaps between so many of the new ones."""

_POLL_SECONDS = 0.2
_SETTLE_SECONDS = 300.0
_UPLOADS_AT_ONCE = 4


@dataclass(frozen=True)
class Place:
    """A database and a bucket that one run has for itself."""

    services: EmbeddedServices
    platform: Platform

    @property
    def bucket(self) -> str:
        """Where the run's objects lie."""
        return self.platform.bucket

    @property
    def dsn(self) -> str:
        """The database, as superuser: the peers need tables of their own."""
        return self.services.postgres.dsn(self.platform.settings.db_name)

    @property
    def url(self) -> str:
        """The same as a URL; the superuser's socket asks for no password, but dlt does."""
        database, host = self.platform.settings.db_name, self.services.postgres.host
        return f"postgresql://postgres:unused@localhost/{database}?host={host}"

    def upload(self, spec: GenerateSpec, prefix: str = PREFIX, *, scattered: bool = False) -> None:
        """Generate the files of a set straight into the bucket.

        Args:
            spec: The set.
            prefix: Under which the files go.
            scattered: Order ids come in no order, instead of counting up.
        """

        def put(index: int) -> None:
            chunks = iter_csv(spec, index, Tally())
            content = ChunkReader(map(_scatter, chunks) if scattered else chunks)
            client.upload_fileobj(content, self.bucket, prefix + file_name(spec, index))

        with (
            closing(self.services.s3.client()) as client,
            ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool,
        ):
            list(pool.map(put, range(spec.files)))

    def uploaded_at(self) -> datetime:
        """When the newest of the waiting objects was uploaded, as far as the pipeline can tell."""
        with closing(self.services.s3.client()) as client:
            found = client.list_objects_v2(Bucket=self.bucket, Prefix=PREFIX)["Contents"]
        return max(entry["LastModified"] for entry in found).replace(microsecond=0)

    def upload_after(self, moment: datetime, spec: GenerateSpec, prefix: str) -> None:
        """Upload, and again until the store's clock shows a later second than `moment`."""
        self.upload(spec, prefix)
        while self.uploaded_at() <= moment:
            self.upload(spec, prefix)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds, with the star's schema on the search path."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("SET search_path = sales")
            return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Ground:
    """The running servers."""

    services: EmbeddedServices
    platform: Platform

    @classmethod
    @contextmanager
    def prepare(cls, folder: Path) -> Iterator[Self]:
        """Servers with an installed, empty template."""
        with EmbeddedServices.start(folder / "servers") as services:
            folder = folder / "credentials"
            yield cls(services, install(services, folder, name=TEMPLATE, bucket="none"))

    @contextmanager
    def place(self, template: str = TEMPLATE) -> Iterator[Place]:
        """A place of its own for one run."""
        name = f"bench_{secrets.token_hex(6)}"
        bucket = name.replace("_", "-")
        self._clone(template, name)
        self.services.s3.create_bucket(bucket)
        settings = self.platform.settings.model_copy(update={"db_name": name})
        try:
            yield Place(self.services, replace(self.platform, settings=settings, bucket=bucket))
        finally:
            self.services.postgres.drop_database(name)
            with closing(self.services.s3.client()) as client:
                client.delete_bucket(Bucket=bucket)

    def prefill(self, rows: int, spec: GenerateSpec) -> None:
        """Make the template PREFILLED: sales whose keys lie between those of a file to be loaded.

        Args:
            rows: Sales to be there before.
            spec: The file.
        """
        self._clone(TEMPLATE, PREFILLED)
        gaps = -(-spec.rows // KEYS_PER_GAP)
        params = {
            "rows": rows,
            "customers": max(2, rows // spec.rows_per_customer),
            "per_gap": -(-rows // gaps),
            "prefix": order_id(spec.seed, 0)[:2],
        }
        script = Path(__file__).with_name("prefill.sql").read_text("utf-8")
        dsn = self.services.postgres.dsn(PREFILLED)
        with psycopg.connect(dsn, autocommit=True, options="-c search_path=sales") as connection:
            for statement in script.split(";\n"):
                connection.execute(statement.encode(), params)
            connection.execute("VACUUM (FREEZE, ANALYZE)")

    def forget_prefilled(self) -> None:
        """Free its space."""
        self.services.postgres.drop_database(PREFILLED)

    def settle(self) -> None:
        """Wait until nobody writes any more what an earlier run has left to be written.

        Raises:
            TimeoutError: The server would not come to rest.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        with psycopg.connect(self.services.postgres.dsn(), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            while connection.execute(_BUSY).fetchone() != (0,):
                if time.monotonic() > deadline:
                    raise TimeoutError("autovacuum does not come to an end")
                time.sleep(_POLL_SECONDS)
        os.sync()

    def _clone(self, template: str, name: str) -> None:
        # Copied as files: through the log, which is the other way, millions of rows take minutes.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with psycopg.connect(self.services.postgres.dsn(), autocommit=True) as connection:
            connection.execute(statement)


def _scatter(chunk: bytes) -> bytes:
    """Turn the digits of each order id around: still unique, and far from its neighbours."""
    return _ORDER_ID.sub(lambda found: found[1] + found[2][::-1], chunk)


_ORDER_ID = re.compile(rb"^([A-Z]{2})([0-9]{8})(?=,)", re.MULTILINE)
_BUSY = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
