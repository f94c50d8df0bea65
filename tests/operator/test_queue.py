"""The queue of ingests to be looked at: no key is lost, none is with two workers at once."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_operator.queue import Queue
from tests.operator.worlds import PATIENT

PATIENCE = 20
KEYS = "abc"


def run(coroutine):
    """What a coroutine gives, or a failure where it would wait for ever."""

    async def limited():
        async with asyncio.timeout(PATIENCE):
            return await coroutine

    return asyncio.run(limited())


async def taken(queue):
    async with queue.take() as key:
        return key


async def turns(count):
    """Let everybody else go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def queue_of(*keys):
    queue = Queue()
    for key in keys:
        queue.add(key)
    return queue


# --- keys


def test_keys_come_in_the_order_in_which_they_were_added():
    async def all_of_it():
        queue = queue_of("b", "a", "c")
        return [await taken(queue) for _ in range(3)]

    assert run(all_of_it()) == ["b", "a", "c"]


def test_a_key_that_is_added_often_waits_once():
    queue = queue_of(*["a"] * 1000)
    assert len(queue) == 1


def test_a_key_that_comes_while_it_is_worked_on_comes_again_once():
    async def worked_on():
        queue = queue_of("a")
        async with queue.take():
            for _ in range(3):
                queue.add("a")
            assert len(queue) == 0
        assert len(queue) == 1
        await taken(queue)
        return len(queue)

    assert run(worked_on()) == 0


def test_a_key_comes_again_also_after_work_that_failed():
    async def failing():
        queue = queue_of("a")

        async def work():
            async with queue.take() as key:
                queue.add(key)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await work()
        return await taken(queue)

    assert run(failing()) == "a"


def test_whoever_waits_is_told_of_a_key():
    async def waiting():
        queue = Queue()
        workers = [asyncio.create_task(taken(queue)) for _ in range(3)]
        await turns(2)
        for key in KEYS:
            queue.add(key)
        return sorted(await asyncio.gather(*workers))

    assert run(waiting()) == list(KEYS)


# --- cancelling


def test_a_worker_that_is_cancelled_as_a_key_arrives_takes_no_key_with_it():
    async def cancelled():
        queue = Queue()
        gone, other = (asyncio.create_task(taken(queue)) for _ in range(2))
        await turns(2)
        queue.add("a")
        gone.cancel()
        key = await other
        await asyncio.wait([gone])
        return key, gone.cancelled()

    assert run(cancelled()) == ("a", True)


def test_a_worker_that_is_cancelled_at_work_gives_its_key_back():
    async def cancelled():
        queue = queue_of("a")

        async def work():
            async with queue.take():
                await asyncio.Event().wait()

        worker = asyncio.create_task(work())
        await turns(2)
        queue.add("a")
        worker.cancel()
        await asyncio.wait([worker])
        return await taken(queue)

    assert run(cancelled()) == "a"


# --- later


def test_a_key_comes_at_its_moment_and_not_before():
    async def later():
        queue, loop = Queue(), asyncio.get_running_loop()
        moment = loop.time() + 0.05
        queue.add_at("a", moment)
        assert len(queue) == 0
        await taken(queue)
        # The loop's clock ticks: a timer may ring that much early.
        return loop.time() - moment

    assert run(later()) > -0.01


@pytest.mark.parametrize("order", [(0.01, 3600), (3600, 0.01)])
def test_of_two_moments_the_earlier_counts_whichever_was_named_first(order):
    async def later():
        queue, loop = Queue(), asyncio.get_running_loop()
        for seconds in order:
            queue.add_at("a", loop.time() + seconds)
        await taken(queue)
        # One timer for a key, however often a moment is named.
        return len(queue._timers)

    assert run(later()) == 0


def test_a_moment_that_has_passed_is_now():
    async def late():
        queue = Queue()
        queue.add_at("a", 0)
        return await taken(queue)

    assert run(late()) == "a"


def test_what_is_forgotten_does_not_come():
    async def forgotten():
        queue, loop = Queue(), asyncio.get_running_loop()
        queue.add_at("a", loop.time() + 0.01)
        queue.forget("a")
        queue.forget("never there")
        queue.add_at("b", loop.time() + 0.02)
        return await taken(queue), len(queue)

    assert run(forgotten()) == ("b", 0)


def test_a_moment_that_comes_while_the_key_is_worked_on_is_not_lost():
    async def at_work():
        queue, loop = queue_of("a"), asyncio.get_running_loop()
        async with queue.take():
            queue.add_at("a", loop.time())
            while queue._timers:  # noqa: ASYNC110 - the timer is what is awaited
                await asyncio.sleep(0)
        return await taken(queue)

    assert run(at_work()) == "a"


# --- whatever happens

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(KEYS)),
        st.tuples(st.just("later"), st.sampled_from(KEYS)),
        st.tuples(st.just("turns"), st.integers(1, 4)),
        st.tuples(st.just("kill"), st.integers(0, 2)),
    ),
    max_size=30,
)


class World:
    """Some workers at one queue, who note what of each key they have looked at."""

    def __init__(self):
        self.queue = Queue()
        self.asked = Counter()
        self.looked = Counter()
        self.at_work = set()

    async def work(self, length):
        while True:
            async with self.queue.take() as key:
                assert key not in self.at_work
                self.at_work.add(key)
                try:
                    seen = self.asked[key]
                    await turns(length)
                    self.looked[key] = seen
                finally:
                    self.at_work.discard(key)

    def add(self, key):
        self.asked[key] += 1
        self.queue.add(key)

    async def live(self, steps):
        workers = [asyncio.create_task(self.work(length)) for length in (0, 1, 3)]
        for step, value in steps:
            if step == "add":
                self.add(value)
            elif step == "later":
                self.asked[value] += 1
                self.queue.add_at(value, 0)
            elif step == "turns":
                await turns(value)
            else:
                await self.replace(workers, value)
        await turns(60)
        for worker in workers:
            worker.cancel()
        ends = await asyncio.gather(*workers, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends)

    async def replace(self, workers, number):
        """A worker is stopped and another one begins; what it had is asked for anew."""
        had = set(self.at_work)
        workers[number].cancel()
        await asyncio.wait([workers[number]])
        for key in had - self.at_work:
            self.add(key)
        workers[number] = asyncio.create_task(self.work(number))


@PATIENT
@given(_steps)
def test_every_key_is_looked_at_after_it_was_last_asked_for_and_by_one_worker(steps):
    world = World()
    run(world.live(steps))
    assert world.looked == world.asked
    assert len(world.queue) == 0
    assert not world.queue._again
    assert not world.queue._taken
