"""What was built once is kept, by version: whole or not at all, whoever interrupts."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from cluster.shell import ClusterError, say


def root() -> Path:
    """The cache folder: `$MINIDATA_CACHE`, or `~/.cache/minidata`."""
    named = os.environ.get("MINIDATA_CACHE")
    return Path(named).expanduser().absolute() if named else Path.home() / ".cache" / "minidata"


def binaries() -> Path:
    """Where the host's tools lie; put it on the PATH to use them by hand."""
    return root() / "bin"


def log_file(name: str) -> Path:
    """Where the output of one long step goes."""
    return root() / "logs" / f"{name}.log"


@contextlib.contextmanager
def publish(target: Path) -> Iterator[Path]:
    """A path to write a file or folder to; it takes `target`'s place only when the block ends well.

    What an interrupted writer left is removed first, so that work begins anew and disk is not lost.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    remove(draft)
    yield draft
    if not draft.exists():
        raise ClusterError(f"nothing was made for {target.name}", where=str(draft))
    # A file takes another's place in one step; a folder, or what takes a folder's place, cannot.
    if draft.is_dir() or target.is_dir():
        remove(target)
    draft.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a folder, there or not."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Only one process at a time; the kernel lets go of it when its holder dies."""
    path = root() / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that holds {path}")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def digest(texts: Iterable[str], files: Iterable[Path] = ()) -> str:
    """16 hex digits that change with any of the texts, and any file's name, mode or content."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(f"{len(text)}:{text}".encode())
    for file in sorted(files):
        whole.update(f"{file.name}:{file.stat().st_mode & 0o111:o}:".encode())
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:16]
