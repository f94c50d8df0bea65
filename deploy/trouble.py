"""What is to be known when an installation does not come about."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from cluster.shell import ClusterError
from deploy.door import Door
from deploy.facts import Facts, Object, gather
from deploy.health import judge
from deploy.page import wrongs
from deploy.pods import held_up, trouble

TAIL_LINES = 8
MOST_PODS = 5
AGAIN = "Once that is mended, run `make up` again: it goes on where it was."


def explained(door: Door, error: ClusterError) -> ClusterError:
    """The error with what is wrong with the installation, and the last words of its pods."""
    try:
        facts = gather(door)
    except ClusterError as silence:
        return _with(error, [silence.what])
    # That the release has failed is what is to be explained.
    rows = [row for row in judge(facts, datetime.now(UTC)) if row.section != "release"]
    told = [*wrongs(rows), *last_words(door, facts)]
    return _with(error, [*told, AGAIN])


def _with(error: ClusterError, told: Sequence[str]) -> ClusterError:
    lines = [error.mend, *told] if error.mend else told
    return ClusterError(error.what, where=error.where, mend="\n  ".join(lines))


def last_words(door: Door, facts: Facts) -> Iterator[str]:
    """The ends of the logs of pods that are not as they should be, the last of each owner's."""
    troubled = sorted(filter(trouble, facts.pods), key=_created)
    last = {_owner(pod): pod for pod in troubled}
    for pod in list(last.values())[:MOST_PODS]:
        name = pod["metadata"]["name"]
        yield f"{name}:"
        yield from (f"  | {line}" for line in tail(door, name, held_up(pod)))


def tail(door: Door, pod: str, container: str | None) -> list[str]:
    """The last lines of a container's log, or of those of all; or why there are none."""
    which = (f"--container={container}",) if container else ("--all-containers", "--prefix")
    try:
        told = door.kubectl("logs", pod, *which, f"--tail={TAIL_LINES}", "--ignore-errors")
    except ClusterError as error:
        return error.what.splitlines()[-1:]
    return told.splitlines()


def _created(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _owner(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or [pod["metadata"]]
    return str(owners[0]["name"])
