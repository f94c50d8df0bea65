"""An OCI runtime for machines that lack a capability: runc, asked only for what can be had.

Docker asks for every capability there is for a privileged container, and runc dies with "unable to
apply caps: operation not permitted" when the bounding set of the machine lacks one. So this stands
in front of runc: it takes the missing ones out of the bundle's configuration (`create`, `run`,
`restore`) or out of the process file (`exec`) and becomes runc, with the same arguments. Anything
else passes through untouched.

The engine runs a copy of this file for every call of the runtime: nothing but the standard library,
and little of that.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# In the order of their numbers, see capabilities(7).
_KNOWN = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
NAMES = tuple(f"CAP_{name}" for name in _KNOWN.split())
# What runc takes before the command and in the word after; every other global option is a switch.
GLOBAL_VALUES = frozenset({"log", "log-format", "root", "criu", "rootless"})


def missing_capabilities(status: str, last: int) -> frozenset[str]:
    """The capabilities that the kernel knows and the bounding set lacks.

    Args:
        status: The text of `/proc/self/status`.
        last: The number in `/proc/sys/kernel/cap_last_cap`.
    """
    mask = next(
        int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:")
    )
    return frozenset(name for bit, name in enumerate(NAMES[: last + 1]) if not mask >> bit & 1)


def missing_here() -> frozenset[str]:
    """What the bounding set of this process lacks."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    return missing_capabilities(status, last)


def without_capabilities(process: dict[str, Any], missing: Iterable[str]) -> dict[str, Any]:
    """The same OCI process, asking for none of the capabilities in any of its sets."""
    sets = process.get("capabilities")
    if not sets:
        return process
    gone = frozenset(missing)
    kept = {name: [one for one in among or () if one not in gone] for name, among in sets.items()}
    return {**process, "capabilities": kept}


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """The command of a runc call and what follows it; ("", []) where there is none."""
    words = iter(enumerate(arguments))
    for position, word in words:
        if not word.startswith("-"):
            return word, arguments[position + 1 :]
        if word.lstrip("-") in GLOBAL_VALUES:
            next(words, None)
    return "", []


def option(arguments: list[str], *names: str) -> str | None:
    """The value of an option, as the word after it or after `=`; None where it is not given."""
    for position, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if word.startswith("-") and name.lstrip("-") in names:
            return value if equals else next(iter(arguments[position + 1 :]), None)
    return None


def edited_file(arguments: list[str]) -> tuple[Path, bool] | None:
    """The file that a call takes its process from, and whether the process is the whole of it."""
    command, rest = command_of(arguments)
    if command in {"create", "run", "restore"}:
        return Path(option(rest, "bundle", "b") or ".") / "config.json", False
    if command == "exec":
        process = option(rest, "process", "p")
        return (Path(process), True) if process else None
    return None


def edit(path: Path, missing: frozenset[str], *, whole: bool) -> None:
    """Take the missing capabilities out of a file, its mode and owner kept."""
    document = json.loads(path.read_bytes())
    if whole:
        edited = without_capabilities(document, missing)
    else:
        edited = {**document, "process": without_capabilities(document["process"], missing)}
    if edited != document:
        path.write_text(json.dumps(edited), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Edit what the call names, then become runc."""
    target = edited_file(arguments)
    missing = missing_here() if target else frozenset()
    if target and missing:
        edit(target[0], missing, whole=target[1])
    os.execvp("runc", ["runc", *arguments])  # noqa: S606 - as containerd itself finds it


if __name__ == "__main__":
    main(sys.argv[1:])
