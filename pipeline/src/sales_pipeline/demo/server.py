"""One embedded server: start it, wait until it truly serves, take it down, never orphan it.

The demo, the tests and the benchmarks all need real servers that they may also break on purpose;
what is the same for every kind of server is here, what differs is in the modules named for them.
"""

import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, Signals
from types import TracebackType
from typing import Self

from sales_pipeline.demo import watchdog
from sales_pipeline.demo.account import Account
from sales_pipeline.errors import TemporaryError

READY_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 12
SERVER_ENDED = "demo.server_ended"
SERVER_NOT_READY = "demo.server_not_ready"


@dataclass(frozen=True)
class Program:
    """What to run, as whom, and how it wants to be ended."""

    title: str
    argv: tuple[str, ...]
    folder: Path
    """Working directory."""
    log: Path
    stop_signal: Signals
    """Asks for an orderly end."""
    kill_signal: Signals
    """Ends it at once, with nothing written out that was not yet."""
    environment: Mapping[str, str] = field(repr=False)
    """All of it: a server must not pick up credentials or settings from the caller's."""
    account: Account | None = None
    patience: float = STOP_SECONDS
    """How many seconds an orderly end may take before it is killed after all."""
    leftovers: tuple[Path, ...] = ()
    """What it leaves outside `folder`; removed when it is closed."""


class EmbeddedServer(ABC):
    """A server on fixed addresses and one data folder, that can go down and come back."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the process lives, ready or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id; of its last process when it is down."""
        if self._process is None:
            raise ValueError("never started")
        return self._process.pid

    def start_again(self) -> None:
        """Start on the same data and addresses and wait until it serves; fine if it already does.

        Raises:
            TemporaryError: It ended or was not ready in time; its log's end is in the message.
        """
        if self.running:
            return
        self._dismiss_watchdog()
        self._process = _launch(self._program)
        self._watchdog = _watch(self._process.pid, self._program)
        self._await_ready()

    def begin(self) -> Self:
        """Start for the first time; nothing is left behind if that fails.

        Raises:
            TemporaryError: As `start_again`.
        """
        try:
            self.start_again()
        except BaseException:
            self.close()
            raise
        return self

    def stop(self) -> None:
        """Ask for an orderly end and wait for it, though not longer than the program's patience."""
        self._end(self._program.stop_signal)

    def kill(self) -> None:
        """End at once, as a crash would, and wait until it is gone."""
        self._end(self._program.kill_signal)

    def restart(self) -> None:
        """Stop in good order, then start on the same data and addresses."""
        self.stop()
        self.start_again()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Crashed inside the block, serving again after it, even if the block raises."""
        self.kill()
        try:
            yield
        finally:
            self.start_again()

    def close(self) -> None:
        """Stop and remove what lies outside the folder; the server is not used again."""
        self.stop()
        watchdog.sweep(self._program.leftovers)

    @abstractmethod
    def _serves(self) -> bool:
        """Whether a client's request succeeds now; must not block for long."""

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._serves():
            ended = self._ended_within(POLL_SECONDS)
            if ended or time.monotonic() > deadline:
                self.kill()
                raise _failure(self._program, ended=ended)

    def _ended_within(self, seconds: float) -> bool:
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _end(self, number: Signals) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)
            if not self._ended_within(self._program.patience):
                self._process.send_signal(SIGKILL)
                self._process.wait()
        self._dismiss_watchdog()

    def _dismiss_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.communicate()
            self._watchdog = None


def log_tail(log: Path) -> str:
    """The last lines of a log, or a word about why there are none."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_TAIL_LINES:]) or "(nothing was written)"


def _failure(program: Program, *, ended: bool) -> TemporaryError:
    return TemporaryError(
        f"{program.title} {'ended before it was' if ended else 'was not in time'} ready",
        where=str(program.log),
        mend=f"Its log ends:\n{log_tail(program.log)}",
        code=SERVER_ENDED if ended else SERVER_NOT_READY,
    )


def _launch(program: Program) -> subprocess.Popen[bytes]:
    identity = program.account.as_identity() if program.account else {}
    with program.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - a program of ours, no shell
            program.argv,
            cwd=program.folder,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the parent, which then stops in good order
            **identity,
        )


def _watch(pid: int, program: Program) -> subprocess.Popen[bytes]:
    script = [sys.executable, "-I", "-S", watchdog.__file__]
    facts = [str(pid), str(int(program.kill_signal)), *map(str, program.leftovers)]
    return subprocess.Popen(  # noqa: S603 - a program of ours, no shell
        [*script, *facts], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
    )
