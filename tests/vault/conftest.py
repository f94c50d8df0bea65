"""Fixtures of the tests of the setup."""

import pytest

from tests.support.services import unique


@pytest.fixture
def world(tmp_path):
    """A server that is nobody's yet, its Kubernetes, and a pod as `vault-setup`."""
    from tests.vault.support import World

    with World.make(tmp_path) as made:
        yield made


@pytest.fixture
def admin(database):
    """A login that may make logins, as charts/postgres leaves it: name and password."""
    from tests.vault.plans import drop_admin, make_admin

    name, password = unique("vault_admin"), unique("pw-canary")
    make_admin(database, name, password)
    yield name, password
    drop_admin(database, name)
