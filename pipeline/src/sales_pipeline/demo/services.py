"""The two servers that the pipeline needs, real ones, started together in a few seconds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sales_pipeline.demo.postgres_server import PostgresServer
from sales_pipeline.demo.s3_server import S3Server


@dataclass(frozen=True)
class EmbeddedServices:
    """A running PostgreSQL and a running S3 server, ours alone."""

    postgres: PostgresServer
    s3: S3Server

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator[Self]:
        """Start both at once; both are gone after the block.

        Args:
            folder: A new or empty folder for data and logs.

        Raises:
            ConfigurationError: A wheel is missing.
            TemporaryError: A server did not become ready; the other one is stopped again.
        """
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as started:
            with ThreadPoolExecutor(max_workers=2) as pool:
                postgres = pool.submit(PostgresServer.start, folder)
                s3 = pool.submit(S3Server.start, folder)
            if postgres.exception() is None:
                started.enter_context(postgres.result())
            if s3.exception() is None:
                started.enter_context(s3.result())
            yield cls(postgres.result(), s3.result())
