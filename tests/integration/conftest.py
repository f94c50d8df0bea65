"""Fixtures of the integration tests: a whole platform each, made fast by copying a template."""

import pytest


@pytest.fixture(scope="session")
def installation(services, tmp_path_factory):
    """The session's servers with roles, credentials and a migrated database to copy."""
    from tests.support.platform import Installation

    return Installation.make(services, tmp_path_factory.mktemp("installation"))


@pytest.fixture
def platform(installation):
    """A fresh database and a fresh bucket with versions, and the doors to both."""
    with installation.sandbox() as made:
        yield made


@pytest.fixture
def unversioned(installation):
    """The same with a bucket that keeps no versions."""
    with installation.sandbox(versioned=False) as made:
        yield made
