"""Attends a program that waits for a release, and ends it once what it waits for cannot come."""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import IO

from cluster.shell import TAIL_LINES, ClusterError, say
from deploy.door import Door
from deploy.obstacles import Obstacle, Seen, broken, certain, left_behind, obstacles, since, unready
from deploy.sight import Sight, look
from deploy.trouble import AGAIN, tail

PAUSE_SECONDS = 3.0
GRACE_SECONDS = 30.0
"""Helm notes that the release has failed, so that the next one may go on."""
MOST = 3
"""So many obstacles are told of."""


class ObstructedError(ClusterError):
    """Something stands in the way for good; its text says all there is to know."""


def attend(door: Door, words: Sequence[str]) -> None:
    """Run a program of the release to its end, and tell on the way what is not ready yet.

    Raises:
        ObstructedError: What it waits for cannot come; it has been told to end, and has.
        ClusterError: It failed.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as told,
        subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            found = _Watch(door).until_end(process)
        finally:
            _end(process)
        if found:
            raise _obstructed(door, found)
        if process.returncode:
            raise _failed(words, process.returncode, told)


def try_anew(door: Door) -> None:
    """Have pods that could not start so far replaced at once, before anybody waits for them."""
    for pod in broken(look(door)):
        say(f"       deleting {pod}, which cannot start, to have it tried anew")
        _delete(door, pod)


def _delete(door: Door, pod: str) -> None:
    door.kubectl("delete", "pod", pod, "--ignore-not-found", "--wait=false")


class _Watch:
    """Looks at a release again and again."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._seen: Seen = {}
        self._told: list[str] = []

    def until_end(self, process: "subprocess.Popen[bytes]") -> list[Obstacle]:
        """Wait for a program, or for certain obstacles, which are returned."""
        while True:
            try:
                process.wait(PAUSE_SECONDS)
            except subprocess.TimeoutExpired:
                if found := self._look():
                    return found
            else:
                return []

    def _look(self) -> list[Obstacle]:
        try:
            sight = look(self._door)
            self._unblock(sight)
        except ClusterError:
            # Whether the cluster is gone for good is for the program to say.
            return []
        self._tell(sight)
        found, now = obstacles(sight), monotonic()
        self._seen = since(self._seen, found, now)
        return certain(self._seen, found, now)

    def _tell(self, sight: Sight) -> None:
        waiting = unready(sight)
        if waiting and waiting != self._told:
            say(f"       not ready yet: {', '.join(waiting)}")
        self._told = waiting

    def _unblock(self, sight: Sight) -> None:
        for pod in left_behind(sight):
            say(f"       deleting {pod}, which cannot start and is of an earlier revision")
            _delete(self._door, pod)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _obstructed(door: Door, found: Sequence[Obstacle]) -> ObstructedError:
    first, *others = _different(found)[:MOST]
    lines = [*_rest(door, first)]
    for one in others:
        lines += [f"{one.at}: {one.why}", *_rest(door, one)]
    where = f"namespace {door.place.namespace} of {door.place.context}"
    return ObstructedError(
        f"{first.at}: {first.why}", where=where, mend="\n  ".join([*lines, AGAIN])
    )


def _different(found: Iterable[Obstacle]) -> list[Obstacle]:
    """Of replicas the first."""
    told: dict[str, Obstacle] = {}
    for one in found:
        told.setdefault(one.like or one.at, one)
    return list(told.values())


def _rest(door: Door, one: Obstacle) -> Iterator[str]:
    yield f"To do: {one.mend}."
    if one.log:
        yield "pod {}, container {}:".format(*one.log)
        yield from (f"  | {line}" for line in tail(door, *one.log))


def _failed(words: Sequence[str], code: int, told: IO[str]) -> ClusterError:
    told.seek(0)
    lines = [f"  | {line.rstrip()}" for line in told.readlines()[-TAIL_LINES:]]
    return ClusterError(
        "\n".join([f"`{' '.join(words[:4])}` failed with exit code {code}", *lines])
    )
