"""Who holds a Lease of a real API server: never two at once, and soon another when one goes."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from sales_operator.lease import Lease
from sales_operator.settings import Leadership
from tests.docs.pages import ROOT
from tests.e2e.connecting import Line, connected, serving
from tests.e2e.kube import Manifest

pytestmark = pytest.mark.e2e

SECONDS = 60


@pytest.fixture(scope="module")
def server(cluster):
    with serving("lease") as made:
        yield made


@pytest.fixture
def how():
    """Short times, and a Lease of the test's own."""
    name = f"lease-{secrets.token_hex(4)}"
    return Leadership(lease=name, duration_seconds=4, renew_seconds=3, retry_seconds=1)


def run(coroutine):
    async def limited():
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(limited())


def spec_of(server, how) -> Manifest:
    return server.namespace.get(f"lease/{how.lease}")["spec"]


async def until(condition):
    """Wait for what nobody tells of."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def contenders(server, how, *identities, **where):
    """A claim for each identity, each with connections of its own."""
    async with contextlib.AsyncExitStack() as stack:
        doors = [
            await stack.enter_async_context(connected(server.login(**where))) for _ in identities
        ]
        place = server.namespace.name
        yield [Lease(door, place, who, how) for door, who in zip(doors, identities, strict=True)]


@contextlib.asynccontextmanager
async def working(*coroutines):
    """Tasks that live as long as the block."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- taking


def test_of_many_who_want_it_exactly_one_holds_it(server, how):
    async def rush():
        async with (
            contenders(server, how, *"abcde") as leases,
            working(*(lease.acquire() for lease in leases)) as tasks,
        ):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            (winner,) = [lease for lease in leases if lease.is_held()]
            renewed = winner._renewed
            async with working(winner.keep()):
                # So long that each of the others has tried again.
                await until(lambda: winner._renewed > renewed + 2 * how.retry_seconds)
                return [lease.is_held() for lease in leases].count(True)

    assert run(rush()) == 1
    assert spec_of(server, how)["leaseTransitions"] == 1


def test_lease_that_says_nothing_is_nobodys(server, how):
    server.namespace.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": how.lease},
        }
    )

    async def take():
        async with contenders(server, how, "a") as (lease,):
            await lease.acquire()
            return lease.is_held()

    assert run(take())
    assert spec_of(server, how)["holderIdentity"] == "a"


def test_holder_keeps_it_longer_than_one_renewal_lasts(server, how):
    async def hold():
        async with contenders(server, how, "a") as (lease,):
            await lease.acquire()
            begun = time.monotonic()
            async with working(lease.keep()) as (keeping,):
                await until(lambda: time.monotonic() > begun + how.duration_seconds + 1)
                return lease.is_held(), keeping.done()

    assert run(hold()) == (True, False)
    spec = spec_of(server, how)
    assert spec["acquireTime"] < spec["renewTime"]
    assert spec["leaseTransitions"] == 1


# --- handing on


def test_lease_that_was_released_is_taken_at_once(server, how):
    async def hand_on():
        async with contenders(server, how, "a", "b") as (first, second):
            await first.acquire()
            async with working(second.acquire()) as (waiting,):
                await until(lambda: second._seen is not None)
                await first.release()
                released = time.monotonic()
                assert not first.is_held()
                await waiting
                return time.monotonic() - released

    assert run(hand_on()) < how.retry_seconds + 1
    assert spec_of(server, how)["holderIdentity"] == "b"


def test_lease_that_is_not_renewed_is_taken_when_it_has_run_out_and_not_before(server, how):
    async def run_out():
        async with contenders(server, how, "a", "b") as (first, second):
            await first.acquire()
            taken = time.monotonic()
            await second.acquire()
            return time.monotonic() - taken, first.is_held()

    waited, is_held_by_both = run(run_out())
    assert how.duration_seconds <= waited
    assert waited < how.duration_seconds + 2 * how.retry_seconds + 1
    assert not is_held_by_both


def test_who_has_lost_it_releases_nothing(server, how):
    async def release():
        async with contenders(server, how, "a", "b") as (first, second):
            await first.acquire()
            await second.acquire()
            await first.release()
            return second.is_held()

    assert run(release())
    assert spec_of(server, how)["holderIdentity"] == "b"


# --- losing


def test_holder_from_whom_it_was_taken_stops_before_the_deadline(server, how):
    """As when the Lease was deleted, and another one was the first to make it anew."""

    async def taken():
        async with contenders(server, how, "a") as (lease,):
            await lease.acquire()
            async with working(lease.keep()) as (keeping,):
                patch = json.dumps({"spec": {"holderIdentity": "b"}})
                target = ("lease", how.lease, "--type=merge", f"--patch={patch}")
                await asyncio.to_thread(server.namespace.kubectl, "patch", *target)
                patched = time.monotonic()
                await keeping
                return time.monotonic() - patched, lease.is_held()

    seconds, is_held = run(taken())
    assert seconds < how.retry_seconds + 1
    assert not is_held


def test_holder_makes_a_deleted_lease_anew(server, how):
    async def deleted():
        async with contenders(server, how, "a") as (lease,):
            await lease.acquire()
            await asyncio.to_thread(server.namespace.kubectl, "delete", "lease", how.lease)
            renewed = lease._renewed
            async with working(lease.keep()):
                await until(lambda: lease._renewed > renewed)
                return lease.is_held()

    assert run(deleted())
    assert spec_of(server, how)["holderIdentity"] == "a"


# --- trouble on the way to the API server


@contextlib.asynccontextmanager
async def held_over_a_line(server, how):
    """A held Lease, the task that keeps it, and the line by which it does."""
    async with (
        Line(server.address).up() as line,
        contenders(server, how, "a", at=line.url) as (lease,),
    ):
        await lease.acquire()
        async with working(lease.keep()) as (keeping,):
            yield lease, keeping, line


def test_api_server_that_fails_for_a_moment_costs_nothing(server, how):
    async def interrupted():
        async with held_over_a_line(server, how) as (lease, keeping, line):
            line.cut()
            failed = time.monotonic()
            await until(lambda: time.monotonic() > failed + 1.5 * how.retry_seconds)
            line.mend()
            await until(lambda: lease._renewed > failed)
            return lease.is_held(), keeping.done()

    assert run(interrupted()) == (True, False)


@pytest.mark.parametrize("trouble", ["cut", "deaf"])
def test_holder_who_cannot_renew_stops_at_the_deadline(server, how, trouble):
    async def lost():
        async with held_over_a_line(server, how) as (lease, keeping, line):
            if trouble == "cut":
                line.cut()
            else:
                line.is_deaf = True
            await keeping
            return time.monotonic() - lease._renewed, lease.is_held()

    seconds, is_held = run(lost())
    assert not is_held
    # No try goes on beyond it, so that all is quiet before anybody else may begin.
    assert how.renew_seconds <= seconds < how.renew_seconds + 0.8


def test_release_that_gets_no_answer_does_not_hold_up_the_end(server, how):
    async def release():
        async with held_over_a_line(server, how) as (lease, keeping, line):
            keeping.cancel()
            line.is_deaf = True
            begun = time.monotonic()
            await lease.release()
            return time.monotonic() - begun

    assert run(release()) <= how.renew_seconds + 1


# --- frozen

HOLDER = """
import asyncio, json, sys
from sales_operator.cluster import ClusterError
from sales_operator.lease import Lease
from sales_operator.settings import Leadership
from tests.e2e.connecting import connected
from tests.e2e.test_cluster_door import a_job

async def main():
    kubeconfig, place, how = json.loads(sys.stdin.readline())
    async with connected(kubeconfig) as door:
        lease = Lease(door, place, "frozen", Leadership(**how))
        await lease.acquire()
        keeping = asyncio.create_task(lease.keep())
        print("held", flush=True)
        # Frozen here: it waits for a line, and finds the time gone when it wakes up.
        await asyncio.to_thread(sys.stdin.readline)
        print("held" if lease.is_held() else "lost", flush=True)
        try:
            await door.guarded(lease.is_held).create_job(a_job(place, "too-late"))
        except ClusterError as error:
            print(error, flush=True)
        await keeping
        print("ended", flush=True)

asyncio.run(main())
"""


@contextlib.contextmanager
def holder(server, how):
    """Another process that holds the Lease."""
    argv = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT
    ) as process:
        try:
            asked = [server.kubeconfig, server.namespace.name, how.model_dump()]
            process.stdin.write(json.dumps(asked) + "\n")
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_frozen_holder_knows_on_waking_that_it_has_lost_and_changes_nothing(server, how):
    async def take_over(frozen):
        async with contenders(server, how, "b") as (lease,):
            os.kill(frozen.pid, signal.SIGSTOP)
            await lease.acquire()
            async with working(lease.keep()):
                os.kill(frozen.pid, signal.SIGCONT)
                frozen.stdin.write("\n")
                told = [await asyncio.to_thread(frozen.stdout.readline) for _ in range(3)]
                return [line.strip() for line in told], lease.is_held()

    with holder(server, how) as frozen:
        told, is_held = run(take_over(frozen))
    assert told == [
        "lost",
        "this replica does not lead any more: nothing was changed",
        "ended",
    ]
    assert is_held
    assert server.namespace.kubectl("get", "jobs", "--output=name") == ""
