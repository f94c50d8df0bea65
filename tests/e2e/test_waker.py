"""A replica that stands by leaves word on the ingests that an event is for, in few requests."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from sales_api import names
from sales_operator import waker as module
from sales_operator.refusals import Span
from sales_operator.settings import PipelineJobs, Settings
from sales_operator.waker import Waker
from tests.e2e.connecting import Line, connected, requests, serving

pytestmark = pytest.mark.e2e

SECONDS = 60
REFUSED = Span(datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 12, 5, tzinfo=UTC))


@pytest.fixture(scope="module")
def server(cluster):
    with serving("waker") as made:
        yield made


@pytest.fixture(autouse=True)
def ingests(server):
    """Three ingests, none of them woken."""
    for name in ("a", "b", "c"):
        server.ingest(name, suspend=True)
        words = f"{names.ANNOTATION_WAKE}-", f"{names.ANNOTATION_REFUSED}-"
        server.namespace.kubectl("annotate", "salesingest", name, *words)


@contextlib.asynccontextmanager
async def working(server, **where):
    """A waker at work."""
    settings = Settings(
        namespace=server.namespace.name,
        watch_namespaces=[server.namespace.name],
        pipeline=PipelineJobs(image="example.test/none:1"),
    )
    async with connected(server.login(**where)) as door:
        waker = Waker(door, settings)
        work = asyncio.create_task(waker.work())
        try:
            yield waker
            assert not work.done()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def run(coroutine):
    async def limited():
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(limited())


def told(server, annotation=names.ANNOTATION_WAKE):
    """What was left as word, by ingest."""
    annotations = {
        item["metadata"]["name"]: item["metadata"].get("annotations", {})
        for item in server.namespace.get("salesingests")["items"]
    }
    found = {name: texts.get(annotation) for name, texts in annotations.items()}
    return {name: moment for name, moment in found.items() if moment}


async def until_told(server, *wanted, **which):
    """Wait for word on these ingests, and perhaps on others."""
    while not (found := await asyncio.to_thread(told, server, **which)).keys() >= set(wanted):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return found


def test_word_is_left_on_the_ingest_that_an_event_is_for_and_on_no_other(server):
    async def one():
        async with working(server) as waker:
            waker.heard("sales", "raw/a/x.csv")
            return await until_told(server, "a")

    assert run(one()).keys() == {"a"}


def test_later_event_leaves_other_word(server):
    """The leader sees a change only where the value is another one."""

    async def two():
        async with working(server) as waker:
            waker.heard("sales", "raw/a/x.csv")
            first = (await until_told(server, "a"))["a"]
            waker.heard("sales", "raw/a/y.csv")
            while (again := (await until_told(server, "a"))["a"]) == first:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return first, again

    first, again = run(two())
    assert first < again


def test_burst_of_a_thousand_events_is_one_request_for_each_ingest(server):
    before = requests("PATCH", "salesingests"), requests("GET", "salesingests")

    async def burst():
        async with working(server) as waker:
            for number in range(1000):
                waker.heard("sales", f"raw/{'ab'[number % 2]}/{number}.csv")
            return await until_told(server, "a", "b")

    assert run(burst()).keys() == {"a", "b"}
    after = requests("PATCH", "salesingests"), requests("GET", "salesingests")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def test_events_that_keep_coming_are_one_request_a_second(server):
    """The ingests are not listed each time either."""
    before = requests("PATCH", "salesingests"), requests("GET", "salesingests")

    async def stream():
        async with working(server) as waker:
            loop = asyncio.get_running_loop()
            end, number = loop.time() + 2.5, 0
            while loop.time() < end:
                waker.heard("sales", f"raw/a/{number}.csv")
                number += 1
                await asyncio.sleep(0.001)
            return number

    assert run(stream()) > 300
    after = requests("PATCH", "salesingests"), requests("GET", "salesingests")
    assert 2 <= after[0] - before[0] <= 4
    assert after[1] - before[1] == 1


def test_event_that_is_for_nobody_leaves_no_word(server):
    async def foreign():
        async with working(server) as waker:
            waker.heard("sales", "processed/a/x.csv")
            waker.heard("others", "raw/a/x.csv")
            waker.heard("sales", "raw/c/x.csv")
            return await until_told(server, "c")

    assert run(foreign()).keys() == {"c"}


def test_ingest_that_is_gone_since_it_was_listed_is_in_nobodys_way(server):
    async def gone():
        async with working(server) as waker:
            waker.heard("sales", "raw/c/x.csv")
            await until_told(server, "c")  # The ingests are listed now, and for some seconds.
            await asyncio.to_thread(server.namespace.kubectl, "delete", "salesingest", "a", "c")
            for name in "abc":
                waker.heard("sales", f"raw/{name}/x.csv")
            return await until_told(server, "b")

    assert run(gone()).keys() == {"b"}


def test_waker_outlives_an_api_server_that_is_away(server):
    async def interrupted():
        async with Line(server.address).up() as line, working(server, at=line.url) as waker:
            line.is_cut = True
            failed = requests("GET", "salesingests")
            waker.heard("sales", "raw/a/x.csv")
            while requests("GET", "salesingests") == failed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            line.mend()
            waker.heard("sales", "raw/b/x.csv")
            return await until_told(server, "b")

    assert "b" in run(interrupted())


def test_refused_events_are_told_of_once_a_minute_and_wake_nobody(server):
    """Whoever posts them is unknown, and must not cost more than this."""
    before = requests("PATCH", "salesingests")

    async def refused():
        async with working(server) as waker:
            for number in range(1000):
                waker.refused("sales", f"raw/{'ab'[number % 2]}/x.csv", REFUSED)
            found = await until_told(server, "a", annotation=names.ANNOTATION_REFUSED)
            # After this, whatever else was to be left as word would have been.
            waker.heard("sales", "raw/c/x.csv")
            return found, await until_told(server, "c")

    found, woken = run(refused())
    assert {name: Span.parse(text) for name, text in found.items()} == {"a": REFUSED}
    assert woken.keys() == {"c"}
    assert told(server, names.ANNOTATION_REFUSED).keys() == {"a"}
    assert requests("PATCH", "salesingests") - before == 2


def test_refusals_that_go_on_are_told_of_again(server, monkeypatch):
    """The leader may not have been there to see it, or have had reasons to wait."""
    monkeypatch.setattr(module, "_REFUSED_SECONDS", 0)
    later = Span(REFUSED.since, REFUSED.until + timedelta(minutes=1))

    async def twice():
        async with working(server) as waker:
            waker.refused("sales", "raw/a/x.csv", REFUSED)
            await until_told(server, "a", annotation=names.ANNOTATION_REFUSED)
            waker.refused("sales", "raw/a/x.csv", later)
            while told(server, names.ANNOTATION_REFUSED) != {"a": str(later)}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    run(twice())
