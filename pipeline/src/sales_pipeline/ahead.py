"""Prepares items ahead of their consumer, several at once: one batch is made while another loads.

Threads are enough: the work is done in libraries that let go of the interpreter meanwhile.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def ahead(prepare: Callable[[T], R], items: Iterator[T], workers: int) -> Iterator[Iterator[R]]:
    """The prepared items, in their order.

    Items are drawn in the consumer's thread, at most `workers` + 1 of them before they are asked
    for. What drawing or preparing raises is raised to the consumer. Leaving the context waits for
    what is under way and starts nothing more.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as pool:
        pending: deque[Future[R]] = deque()
        try:
            yield _prepared(pool, prepare, items, pending, workers + 1)
        finally:
            for future in pending:
                future.cancel()


def _prepared(
    pool: ThreadPoolExecutor,
    prepare: Callable[[T], R],
    items: Iterator[T],
    pending: "deque[Future[R]]",
    depth: int,
) -> Iterator[R]:
    for item in items:
        pending.append(pool.submit(prepare, item))
        if len(pending) >= depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
