"""The Docker engine that everything here is built and run with: the user's, or one of our own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster import cache, daemons, debian, firewall, oci_runtime, shell
from cluster.daemons import Layout
from cluster.shell import ClusterError

ANSWER_SECONDS = 15
PROGRAMS = {
    "docker": ("docker-cli", "docker.io"),
    "dockerd": ("docker.io",),
    "containerd": ("containerd",),
    "runc": ("runc",),
    "iptables": ("iptables",),
    "ip": ("iproute2",),
}


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers.

    Attributes:
        env: What to add to the environment of a program that talks to it.
        owned: Whether it is our own, which `stop` ends.
    """

    env: Mapping[str, str]
    owned: bool


def ensure() -> Engine:
    """The engine that DOCKER_HOST names, our own if it runs, the user's, or our own started now.

    Raises:
        ClusterError: DOCKER_HOST does not answer, or there is none and we cannot start one.
    """
    with cache.lock("engine"):
        layout = Layout.below(cache.root())
        return _present(layout) or _start(layout)


def find() -> Engine | None:
    """The engine that `ensure` would use, if there is any yet.

    One of our own that was killed is started: its containers are still there, to be removed.
    """
    layout = Layout.below(cache.root())
    with cache.lock("engine"):
        found = _present(layout)
    return found or (ensure() if layout.data.exists() else None)


def stop() -> None:
    """End our own engine and remove every trace of it, but for the images; harmless without one."""
    with cache.lock("engine"):
        layout = Layout.below(cache.root())
        if not (layout.run.exists() or layout.note.exists()) or os.geteuid() != 0:
            return
        bridges = daemons.bridges(layout)
        daemons.end(layout)
        daemons.sweep(layout)
        if before := firewall.noted(layout.note):
            firewall.put_back(before, bridges, whole=daemons.alone(layout))
        cache.remove(layout.note)


def _present(layout: Layout) -> Engine | None:
    named = os.environ.get("DOCKER_HOST", "")
    own = {f"unix://{layout.socket}", f"unix://{layout.link}"}
    if named and named not in own:
        if complaint := _complaint():
            raise ClusterError(
                f"no Docker engine answers: {complaint}",
                where=f"DOCKER_HOST={named}",
                mend="Start it, or unset DOCKER_HOST.",
            )
        return Engine({}, owned=False)
    if daemons.up(layout):
        return _own(layout)
    return None if named or _complaint() else Engine({}, owned=False)


def _start(layout: Layout) -> Engine:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError(
            f"no Docker engine answers: {_complaint()}",
            where="the default socket and context of docker",
            mend="Start Docker, see to it that you may use it, or run this as root on Debian.",
        )
    if debian.install(PROGRAMS) and not _complaint():
        return Engine({}, owned=False)  # the package's own service has come up
    layout.root.mkdir(parents=True, exist_ok=True)
    with shell.step(f"starting a Docker engine of our own in {layout.root}"):
        daemons.sweep(layout)
        firewall.note(layout.note)
        daemons.write_configuration(layout, oci_runtime.missing_here())
        _start_from_what_is_there(layout)
    return _own(layout)


def _start_from_what_is_there(layout: Layout) -> None:
    """Start; with nothing if what an earlier engine left is no good."""
    had_data = layout.data.exists()
    spoilt = layout.root / "data.spoilt"
    try:
        daemons.start(layout)
    except ClusterError as error:
        daemons.sweep(layout)
        if not had_data:
            raise
        shell.say(f"{error}\nStarting afresh, without the images built so far.")
        _start_with_nothing(layout, spoilt)
    cache.remove(spoilt)


def _start_with_nothing(layout: Layout, spoilt: Path) -> None:
    """The images come back if it was not for them that the engine failed."""
    cache.remove(spoilt)
    layout.data.rename(spoilt)
    try:
        daemons.start(layout)
    except ClusterError:
        daemons.sweep(layout)
        cache.remove(layout.data)
        spoilt.rename(layout.data)
        raise


def _own(layout: Layout) -> Engine:
    return Engine({"DOCKER_HOST": f"unix://{layout.socket}"}, owned=True)


def _complaint() -> str:
    """What docker says about the engine of its choice; empty if that answers."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except FileNotFoundError:
        return "docker is not installed"
    except subprocess.TimeoutExpired:
        return f"not a word within {ANSWER_SECONDS} s"
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1] if done.returncode else ""
