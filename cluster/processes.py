"""Finding and ending processes that are nobody's children any more: daemons and what they left."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

EXEC_SECONDS = 1.0


class Process(NamedTuple):
    """A process and the words it was started with."""

    pid: int
    argv: tuple[str, ...]

    @property
    def program(self) -> str:
        """The name of the program, without its folder."""
        return self.argv[0].rpartition("/")[2]


def running() -> Iterator[Process]:
    """Every process that runs; neither kernel threads nor those that only wait to be reaped."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if words := _command_line(entry):
                    yield Process(int(entry.name), tuple(words.split("\0")))


def _command_line(entry: Path) -> str:
    """What a process was started with; empty if it runs no program.

    One that is just becoming another program has no words for a moment, though it has a program.
    """
    deadline = time.monotonic() + EXEC_SECONDS
    while True:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0")
        if words or time.monotonic() > deadline:
            return words
        (entry / "exe").readlink()
        time.sleep(0.001)


def network_namespace(pid: int | str) -> int | None:
    """Which network a process lives in; None once it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    return None


def end(find: Callable[[], Collection[int]], sent: signal.Signals, seconds: float) -> bool:
    """Send a signal to what is found until nothing is found any more.

    Args:
        find: The processes that have to go, looked up anew after each round.
        sent: The signal that each gets.
        seconds: How long they have in all.

    Returns:
        Whether all of them are gone.
    """
    deadline = time.monotonic() + seconds
    while pids := find():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        _signal_and_wait(pids, sent, left)
    return True


def _signal_and_wait(pids: Collection[int], sent: signal.Signals, seconds: float) -> None:
    """A handle on the process, not its number, is signalled: numbers are used again."""
    deadline = time.monotonic() + seconds
    poll = select.poll()
    with contextlib.ExitStack() as opened:
        waiting = set()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                opened.callback(os.close, handle)
                signal.pidfd_send_signal(handle, sent)
                poll.register(handle, select.POLLIN)
                waiting.add(handle)
        while waiting and (left := deadline - time.monotonic()) > 0:
            for handle, _ in poll.poll(left * 1000):
                poll.unregister(handle)
                waiting.discard(handle)
