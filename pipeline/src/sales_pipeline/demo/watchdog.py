"""Ends a server whose parent is gone. A script, not a module: it imports nothing of ours.

Nobody can clean up after a SIGKILL but somebody else. The parent holds the write end of this
script's standard input and never writes: end of file means that the parent is dead, however it
died and whichever of its threads started the server (which is why PR_SET_PDEATHSIG won't do).

Usage: watchdog.py PID SIGNAL [LEFTOVER ...]
"""

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

GRACE_SECONDS = 10.0


def main(arguments: list[str]) -> None:
    """Wait for the server's end or the parent's, whichever comes first.

    Args:
        arguments: Process id, signal number, then what the server leaves outside its folder.
    """
    if not hasattr(os, "pidfd_open"):  # Linux only: a bare pid could be somebody else's by then
        return
    process = os.pidfd_open(int(arguments[0]))
    ended, _, _ = select.select([process, sys.stdin.fileno()], [], [])
    if process not in ended:
        end(process, int(arguments[1]))
        sweep(Path(leftover) for leftover in arguments[2:])


def end(process: int, first: int) -> None:
    """Send the signal, and SIGKILL if that did not help in time."""
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)
        if select.select([process], [], [], GRACE_SECONDS)[0]:
            return


def sweep(leftovers: Iterable[Path]) -> None:
    """Remove files and folders, present or not."""
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)
        with contextlib.suppress(OSError):
            leftover.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
