"""Running other programs: one way that shows progress, keeps the output and explains a failure."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HEARTBEAT_SECONDS = 30
TAIL_LINES = 25
SHOWN_WORDS = 6


class ClusterError(Exception):
    """Something that a person has to know: what failed, where, and what mends it."""

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.mend = what, where, mend

    def __str__(self) -> str:
        parts = [self.what, self.where and f"  where: {self.where}", self.mend and f"  {self.mend}"]
        return "\n".join(part for part in parts if part)


def say(text: str) -> None:
    """One line of progress, on standard error: standard output is for results."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Tell that something longer begins, and how many seconds it took."""
    started = time.monotonic()
    say(f"[ .. ] {title}")
    yield
    say(f"[ ok ] {title}: {time.monotonic() - started:.0f} s")


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    log: Path | None = None,
) -> str:
    """Run a program to its end.

    Args:
        argv: The program and its arguments; no shell is involved.
        env: Variables on top of this process's own.
        cwd: Where to run it.
        stdin: Text given to it; none means no input at all.
        log: File that gets all its output, for what runs long; then nothing is returned.

    Returns:
        Its standard output, unless that went to the log.

    Raises:
        ClusterError: It cannot be run or failed; the error carries the end of its output.
    """
    words = [str(word) for word in argv]
    whole = {**os.environ, **(env or {})}
    try:
        if log is not None:
            return _run_logged(words, whole, cwd, log)
        done = subprocess.run(
            words,
            env=whole,
            cwd=cwd,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        what = f"cannot run {words[0]}: {error.strerror}"
        raise ClusterError(what, where=str(error.filename)) from None
    if done.returncode:
        raise _failure(words, done.returncode, done.stdout + done.stderr, "")
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> bool:
    """Whether a program is there and exits with 0."""
    try:
        run(argv, env=env)
    except ClusterError:
        return False
    return True


def _run_logged(words: list[str], env: Mapping[str, str], cwd: Path | None, log: Path) -> str:
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(
            words, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        while True:
            try:
                code = process.wait(HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"       still at it after {time.monotonic() - started:.0f} s")
            except BaseException:
                process.kill()
                process.wait()
                raise
    if code:
        raise _failure(words, code, log.read_text(errors="replace"), str(log))
    return ""


def _failure(words: list[str], code: int, output: str, where: str) -> ClusterError:
    tail = "\n".join(f"  | {line}" for line in output.splitlines()[-TAIL_LINES:])
    return ClusterError(
        f"`{' '.join(words[:SHOWN_WORDS])}` failed with exit code {code}\n{tail}",
        where=where,
    )
