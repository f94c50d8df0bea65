"""What an engine leaves in the kernel when it ends or dies: cgroups, mounts, interfaces."""

import contextlib
import json
import os
import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from cluster import shell

CGROUPS = Path("/sys/fs/cgroup")
# Docker names the bridge of a network after the network's random id; nothing else does.
BRIDGE = re.compile(r"br-[0-9a-f]{12}")
# The kernel empties a cgroup a moment after the last process in it has ended.
CGROUP_SECONDS = 10.0


def cgroups(name: str) -> list[Path]:
    """The top folders of a cgroup: one in each hierarchy of version 1, a single one in 2."""
    found = [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]
    return [folder for folder in found if folder.is_dir()]


def cgroup_members(name: str) -> set[int]:
    """The processes in a cgroup and in those below it."""
    pids: set[int] = set()
    for top in cgroups(name):
        for folder, _, _ in os.walk(top):
            with contextlib.suppress(OSError):
                pids.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
    return pids


def remove_cgroups(name: str) -> None:
    """Remove a cgroup whose processes have ended, and those below it."""
    deadline = time.monotonic() + CGROUP_SECONDS
    while (tops := cgroups(name)) and time.monotonic() < deadline:
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        time.sleep(0.02 if cgroups(name) else 0)


def mounts_below(mountinfo: str, folders: Iterable[Path]) -> list[str]:
    """The mount points in or at some folders, last mounted first.

    Args:
        mountinfo: The text of `/proc/self/mountinfo`, where blanks and the like are octal escapes.
        folders: Absolute paths.
    """
    tops = list(folders)
    points = [
        re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split()[4])
        for line in mountinfo.splitlines()
    ]
    return [point for point in reversed(points) if any(Path(point).is_relative_to(t) for t in tops)]


def unmount_below(*folders: Path) -> None:
    """Detach everything mounted in or at some folders."""
    points = mounts_below(Path("/proc/self/mountinfo").read_text(encoding="utf-8"), folders)
    if points:
        shell.run(["umount", "--lazy", *points])


def bridge_names(database: Path) -> set[str]:
    """The bridges that a network database of Docker names, whether its engine runs or not.

    It is read as mere text, so that a damaged one tells what it can.
    """
    content = database.read_text(encoding="latin-1") if database.exists() else ""
    return set(BRIDGE.findall(content))


def docker_bridges() -> set[str]:
    """The bridges on this machine that some Docker made for its networks."""
    return set(filter(BRIDGE.fullmatch, _links("type", "bridge")))


def remove_bridges(names: Collection[str]) -> None:
    """Remove the bridges that are there, and the host's ends of the cables to the containers."""
    if not names:
        return
    for bridge in _links("type", "bridge"):
        if bridge in names:
            for cable in _links("master", bridge):
                # It may go by itself meanwhile: the kernel takes its time with a dead network.
                shell.succeeds(["ip", "link", "delete", cable])
            shell.run(["ip", "link", "delete", bridge])


def _links(*which: str) -> list[str]:
    found = shell.run(["ip", "-json", "link", "show", *which])
    return [link["ifname"] for link in json.loads(found or "[]")]
