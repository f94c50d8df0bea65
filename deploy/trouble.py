"""What is to be known when an installation does not come about."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cluster.shell import ClusterError
from deploy.door import Door
from deploy.facts import Facts, gather
from deploy.health import judge, trouble
from deploy.page import wrongs

TAIL_LINES = 8
MOST_PODS = 5
AGAIN = "Once that is mended, run `make up` again: it goes on where it was."


def explained(door: Door, error: ClusterError) -> ClusterError:
    """The error with what is wrong with the installation, and the last words of its pods."""
    try:
        facts = gather(door)
    except ClusterError as silence:
        return _with(error, [silence.what])
    told = [*wrongs(judge(facts, datetime.now(UTC))), *last_words(door, facts)]
    return _with(error, [*told, AGAIN])


def _with(error: ClusterError, told: Sequence[str]) -> ClusterError:
    lines = [error.mend, *told] if error.mend else told
    return ClusterError(error.what, where=error.where, mend="\n  ".join(lines))


def last_words(door: Door, facts: Facts) -> Iterator[str]:
    """The ends of the logs of pods that are not as they should be."""
    for pod in [pod for pod in facts.pods if trouble(pod)][:MOST_PODS]:
        name = pod["metadata"]["name"]
        yield f"{name}:"
        yield from (f"  | {line}" for line in _tail(door, name))


def _tail(door: Door, pod: str) -> list[str]:
    options = ("--all-containers", "--prefix", f"--tail={TAIL_LINES}", "--ignore-errors")
    try:
        return door.kubectl("logs", pod, *options).splitlines()
    except ClusterError as error:
        return error.what.splitlines()[-1:]
