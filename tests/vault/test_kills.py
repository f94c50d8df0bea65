"""Killed anywhere and run again: the same end, no root token, each secret made once."""

import collections
import contextlib
import signal
from unittest import mock

import pytest

from sales_vault.keeper import Keeper
from sales_vault.server import Server
from tests.vault.plans import small

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WRITES = {
    "server:Server.write": 22,
    "server:Server.write_when_ready": 2,
    "keeper:Keeper.prepare": 1,
    "keeper:Keeper.keep": 1,
    "keeper:Keeper.drop_root": 1,
}
"""All that changes something outside, and how often in an undisturbed run."""
INITIALISED = ("server:Server.write", 1)
"""What the server tells then, it never tells again."""
REFUSED = ("server:Server.write", 5)
"""The setup role asks whether it is let in already: that changes nothing, nor does it return."""
POINTS = [(name, nth) for name, times in WRITES.items() for nth in range(1, times + 1)]


@pytest.fixture
def plan(database, admin):
    return small(database, *admin)


def _is_as_if_undisturbed(world, plan):
    """Whether nothing is left to do, nothing was done twice, and nobody is root."""
    again = world.run("setup", plan)
    assert (again.code, again.out) == (0, "nothing to change\n")
    assert world.api.kept("root-token") == ""
    assert len(world.api.kept("keys").split()) == 5
    assert world.roots() == []
    with world.root() as root:
        for path in plan["kv"]["generate"]:
            assert root.read(f"kv/metadata/{path}")["data"]["current_version"] == 1
    with world.logged_in("sales-pipeline") as client:
        assert client.read("database/creds/sales-pipeline")["data"]["username"]
        client.auth.token.revoke_self()


def _secrets(world, plan):
    """What must be in no log."""
    with world.root() as root:
        key = root.read("kv/data/sales/pseudonym")["data"]["data"]["key"]
    login = plan["kv"]["generate"]["postgres/vault-admin"]["password"]["value"]
    pod = [(world.folder / "token").read_text(), world.api.token]
    return [key, login, *pod, *world.api.kept("keys").split()]


def _count(stack, calls, name):
    owner = Server if name.startswith("server:") else Keeper
    method = name.rpartition(".")[2]
    function = getattr(owner, method)

    def counted(*args, **kwargs):
        calls.append(name)
        return function(*args, **kwargs)

    stack.enter_context(mock.patch.object(owner, method, counted))


def test_points_are_all_there_are(world, plan):
    """An undisturbed run calls what changes something just as often as the points say."""
    calls = []
    with contextlib.ExitStack() as stack:
        for name in WRITES:
            _count(stack, calls, name)
        assert world.run("setup", plan).code == 0
    assert collections.Counter(calls) == WRITES
    _is_as_if_undisturbed(world, plan)


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        pytest.param(*point, id=f"{point[0].rpartition('.')[2]} {point[1]}")
        for point in POINTS
        if point not in (INITIALISED, REFUSED)
    ],
)
def test_killed_after(world, plan, point, nth):
    """The next run goes on from wherever this one was ended."""
    killed = world.killed(plan, point, nth)
    assert killed.returncode == -9, killed.stderr
    again = world.run("setup", plan)
    assert again.code == 0, again.err
    said = killed.stdout + killed.stderr + again.out + again.err + world.vault.log()
    assert not [secret for secret in _secrets(world, plan) if secret in said]
    _is_as_if_undisturbed(world, plan)


def test_killed_before_the_keys_are_kept(world, plan):
    """The one point where there is nothing to go on with: no secret is in it yet, so start anew."""
    world.killed(plan, *INITIALISED)
    again = world.run("setup", plan)
    assert again.code == 78
    assert "the keys have been taken away" in again.last_words


def test_asked_to_end_before_the_keys_are_kept(world, plan):
    """A pod that must go, as when its node is drained, keeps them first."""
    ended = world.killed(plan, *INITIALISED, name="SIGTERM")
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert world.run("setup", plan).code == 0
    _is_as_if_undisturbed(world, plan)


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        pytest.param("server:Server.generate_root", 1, id="before it is kept"),
        pytest.param("keeper:Keeper.keep", 1, id="after it is kept"),
        pytest.param("server:Server.revoke_self", 1, id="after it is revoked"),
        pytest.param("keeper:Keeper.drop_root", 1, id="after it is forgotten"),
    ],
)
def test_killed_with_a_root_token_that_was_ordered(world, plan, point, nth):
    """One that the keys gave, and that a killed run could not even keep, is ended too."""
    assert world.run("setup", plan).code == 0
    with world.root() as root:
        root.delete("auth/kubernetes/role/vault-setup")
    killed = world.killed(plan, point, nth)
    assert killed.returncode == -9, killed.stderr
    assert world.run("setup", plan).code == 0
    _is_as_if_undisturbed(world, plan)
