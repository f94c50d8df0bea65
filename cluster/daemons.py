"""Our own containerd and dockerd: where their files lie, how they start, how they end.

Everything is named after the cache folder and lies outside the system's own places, so that stale
sockets there never matter and engines of two cache folders never meet.
"""

import functools
import hashlib
import json
import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from cluster import cache, firewall, leftovers, oci_runtime, processes, shell
from cluster.processes import Process
from cluster.shell import ClusterError

POLL_SECONDS = 0.05
# An engine with containers to restart answers late on a busy machine.
START_SECONDS = 120.0
# Docker gives containers 15 s to end.
STOP_SECONDS = 60.0
KILL_SECONDS = 30.0
LOG_TAIL_CHARACTERS = 2000
# Where a shim notes its socket; which of the two depends on the version of containerd.
SHIM_NOTES = frozenset({"address", "bootstrap.json"})
PROGRAMS = frozenset({"setsid", "dockerd", "containerd", "runc"})


@dataclass(frozen=True)
class Layout:
    """Where an engine keeps what it has.

    Attributes:
        root: What outlives it: images, configuration, logs.
        run: What ends with it: sockets and state. Short, for a socket's path has 107 bytes at most.
    """

    root: Path
    run: Path

    @classmethod
    def below(cls, folder: Path) -> "Layout":
        """The layout of the engine that belongs to a cache folder."""
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]
        return cls(folder.resolve() / "engine", Path("/run") / f"minidata-{name}")

    @property
    def cgroup(self) -> str:
        """The cgroup that all its containers are in."""
        return self.run.name

    @property
    def data(self) -> Path:
        """Images, containers, volumes and networks."""
        return self.root / "data"

    @property
    def socket(self) -> Path:
        """Where dockerd answers."""
        return self.run / "docker.sock"

    @property
    def note(self) -> Path:
        """How the machine was before; it outlives a crash, and the cache folder."""
        return self.run.with_suffix(".json")

    @property
    def link(self) -> Path:
        """The same, to be found by people."""
        return self.root / "docker.sock"

    @property
    def runtime(self) -> Path:
        """The OCI runtime for machines that lack a capability."""
        return self.root / "oci-runtime"

    def configuration(self, daemon: str) -> Path:
        """The configuration file of a daemon."""
        return self.root / {"dockerd": "daemon.json", "containerd": "containerd.toml"}[daemon]

    def log(self, daemon: str) -> Path:
        """What a daemon has said since it was started last."""
        return self.root / f"{daemon}.log"

    def owns(self, process: Process) -> bool:
        """Whether a process is part of this engine: a daemon, a shim or a runtime call of it."""
        if process.argv[1:3] == ("-IS", str(self.runtime)):
            return True
        part = process.program in PROGRAMS or process.program.startswith("containerd-shim")
        return part and any(
            word.startswith((f"{self.root}/", f"{self.run}/")) for word in process.argv
        )

    def pids(self, *programs: str) -> set[int]:
        """The processes that are part of this engine, or those of them that run some programs."""
        owned = filter(self.owns, processes.running())
        return {one.pid for one in owned if not programs or one.program in programs}

    def everything(self) -> set[int]:
        """The processes that are part of this engine or run in one of its containers."""
        return self.pids() | leftovers.cgroup_members(self.cgroup)


def daemon_json(layout: Layout, missing: Collection[str]) -> str:
    """The configuration of dockerd.

    Without a default bridge: builds use the host's network, and kind makes a network of its own.
    """
    settings: dict[str, object] = {
        "hosts": [f"unix://{layout.socket}"],
        "containerd": str(layout.run / "containerd.sock"),
        "data-root": str(layout.data),
        "exec-root": str(layout.run / "docker"),
        "pidfile": str(layout.run / "docker.pid"),
        "bridge": "none",
        "storage-driver": "overlay2",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{layout.cgroup}",
    }
    if missing:
        settings |= {
            "runtimes": {"runc-modest": {"path": str(layout.runtime)}},
            "default-runtime": "runc-modest",
        }
    return json.dumps(settings, indent=2)


def containerd_toml(layout: Layout) -> str:
    """The configuration of containerd; what it stores, dockerd stores again when it starts."""
    return f"""version = 2
root = "{layout.run}/containerd-root"
state = "{layout.run}/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
address = "{layout.run}/containerd.sock"
"""


def runtime_script() -> str:
    """The wrapper, run by this very interpreter, not by a virtual environment's link to it."""
    source = Path(oci_runtime.__file__).read_text(encoding="utf-8")
    return f"#!{Path(sys.executable).resolve()} -IS\n{source}"


def write_configuration(layout: Layout, missing: Collection[str]) -> None:
    """Write what the daemons are started with.

    Args:
        layout: Where to.
        missing: The capabilities that this machine lacks.
    """
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.configuration("containerd").write_text(containerd_toml(layout), encoding="utf-8")
    layout.configuration("dockerd").write_text(daemon_json(layout, missing), encoding="utf-8")
    layout.runtime.write_text(runtime_script(), encoding="utf-8")
    layout.runtime.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)


def start(layout: Layout) -> None:
    """Start both daemons, detached from whoever calls.

    Raises:
        ClusterError: One exited or did not answer in time.
    """
    layout.run.mkdir(mode=0o711, exist_ok=True)
    _launch(layout, "containerd", "--config", lambda: _connects(layout.run / "containerd.sock"))
    _launch(layout, "dockerd", "--config-file", lambda: _answers(layout.socket))
    cache.remove(layout.link)
    layout.link.symlink_to(layout.socket)


def up(layout: Layout) -> bool:
    """Whether the engine runs and answers; one that is still starting gets the time it needs.

    One whose cache folder was deleted while it ran is as good as dead.
    """
    deadline = time.monotonic() + START_SECONDS
    while (
        layout.configuration("dockerd").exists()
        and layout.pids("containerd")
        and layout.pids("dockerd")
        and time.monotonic() < deadline
    ):
        if _answers(layout.socket):
            return True
        time.sleep(POLL_SECONDS)
    return False


def end(layout: Layout) -> None:
    """Let the engine end its containers and then itself, as far as it still can."""
    for daemon in ("dockerd", "containerd"):
        find = functools.partial(layout.pids, daemon)
        processes.end(find, signal.SIGTERM, STOP_SECONDS)


def sweep(layout: Layout) -> None:
    """Remove what an engine that ended or died has left, but for its images.

    Raises:
        ClusterError: A process cannot be killed.
    """
    if not processes.end(layout.everything, signal.SIGKILL, KILL_SECONDS):
        raise ClusterError(
            "processes of an earlier engine cannot be killed",
            where=f"pids {sorted(layout.everything())}",
            mend="They hang in the kernel: restart the machine.",
        )
    leftovers.unmount_below(layout.root, layout.run)
    leftovers.remove_bridges(bridges(layout))
    leftovers.remove_cgroups(layout.cgroup)
    for path in _shim_sockets(layout):
        path.unlink(missing_ok=True)
    cache.remove(layout.link)
    cache.remove(layout.run)


def bridges(layout: Layout) -> set[str]:
    """The names of the bridges that the engine made for its networks, now or earlier."""
    named = leftovers.bridge_names(layout.data / "network" / "files" / "local-kv.db")
    return named | leftovers.docker_bridges() if alone(layout) else named


def alone(layout: Layout) -> bool:
    """Whether whatever is Docker's in this network is this engine's, for there was no other."""
    before = firewall.noted(layout.note)
    if before is None or before.chains:
        return False
    here = processes.network_namespace("self")
    others = {one.pid for one in processes.running() if one.program == "dockerd"} - layout.pids()
    return all(processes.network_namespace(pid) != here for pid in others)


def _launch(layout: Layout, daemon: str, option: str, ready: Callable[[], bool]) -> None:
    command = ["setsid", "--fork", daemon, option, str(layout.configuration(daemon))]
    shell.run(command, cwd=Path("/"), log=layout.log(daemon))
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if not layout.pids(daemon, "setsid") or time.monotonic() > deadline:
            log = layout.log(daemon)
            tail = log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]
            raise ClusterError(f"{daemon} did not start:\n{tail}", where=str(log))
        time.sleep(POLL_SECONDS)


def _shim_sockets(layout: Layout) -> set[Path]:
    """Shims put their sockets in a place of containerd's that cannot be configured."""
    found = layout.run.glob("containerd/io.containerd.runtime.v2.task/*/*/*")
    texts = [path.read_text(errors="replace") for path in found if path.name in SHIM_NOTES]
    return {Path(name) for text in texts for name in re.findall(r"unix://(/[\w./-]+)", text)}


def _connects(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except OSError:
        return False
    return True


def _answers(path: Path) -> bool:
    """Whether an engine is up: it listens early and answers late, so a second's patience is due."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in client.recv(64)
    except OSError:
        return False
