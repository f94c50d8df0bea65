"""The host's packet filter and forwarding: noted before an engine starts, put back after it ends.

Docker never takes back what it set up: its chains stay, and FORWARD keeps dropping.
"""

import dataclasses
import json
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from cluster import shell

TOOLS = ("iptables", "ip6tables")
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
)
# The chains of Docker and the bridges of its networks.
DOCKERS = r"DOCKER(?:-\S+)?|br-[0-9a-f]{12}"
# Lets a container reach a port that it publishes itself: the one rule that names none of these.
HAIRPIN = re.compile(r"-A POSTROUTING -s (\S+) -d \1 .*-j MASQUERADE")


@dataclasses.dataclass(frozen=True)
class Before:
    """How the host was before the engine came.

    Attributes:
        boot: Which boot of the machine this tells of: the next one forgets everything.
        chains: Whether another Docker had left its chains.
        policies: The policy of FORWARD for each tool.
        sysctls: The forwarding switches.
    """

    boot: str
    chains: bool
    policies: dict[str, str]
    sysctls: dict[str, str]


def note(path: Path) -> None:
    """Write down how the host is, unless that was done since the machine booted."""
    if noted(path):
        return
    saved = {tool: _save(tool) for tool in TOOLS}
    before = Before(
        boot=_boot(),
        chains=any("\n:DOCKER" in text for text in saved.values()),
        policies={tool: _forward_policy(text) for tool, text in saved.items()},
        sysctls={name: _sysctl(name).read_text() for name in SYSCTLS if _sysctl(name).exists()},
    )
    path.write_text(json.dumps(dataclasses.asdict(before)), encoding="utf-8")


def noted(path: Path) -> Before | None:
    """What was written down since the machine booted; None if nothing was."""
    try:
        before = Before(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return before if before.boot == _boot() else None


def put_back(before: Before, bridges: Collection[str], *, whole: bool) -> None:
    """Take away what Docker added.

    Args:
        before: How the host was.
        bridges: The bridges of the engine that ended.
        whole: Whether no other engine needs the chains and the forwarding.
    """
    for tool in TOOLS:
        if whole:
            changes = undo(_save(tool), DOCKERS, policy=before.policies[tool])
        else:
            changes = undo(_save(tool), "|".join(bridges))
        if changes:
            shell.run([f"{tool}-restore", "--noflush"], stdin=changes)
    for name, value in before.sysctls.items() if whole else ():
        _sysctl(name).write_text(value, encoding="ascii")


def undo(saved: str, names: str, *, policy: str = "") -> str:
    """What to feed to `iptables-restore --noflush`; empty where there is nothing to take away.

    Args:
        saved: The output of `iptables-save`.
        names: Pattern of the chains that go, and of the chains and interfaces whose rules go.
        policy: What FORWARD gets once Docker has gone for good; empty if it has not.
    """
    tables = [table.splitlines() for table in re.split(r"^(?=\*)", saved, flags=re.MULTILINE)]
    changed = [(table[0], _changes(table, re.compile(names), policy)) for table in tables if table]
    return "".join("\n".join([name, *lines, "COMMIT", ""]) for name, lines in changed if lines)


def _changes(table: list[str], names: re.Pattern[str], policy: str) -> list[str]:
    rules = [line for line in table if line.startswith("-A ")]
    gone = [
        rule
        for rule in rules
        if any(map(names.fullmatch, rule.split())) or (policy and HAIRPIN.match(rule))
    ]
    chains = [line.split()[0][1:] for line in table if line.startswith(":")]
    changes = [f"-D{rule[2:]}" for rule in gone]
    changes += [f"-X {chain}" for chain in chains if names.fullmatch(chain)]
    if changes and policy and "FORWARD" in chains and table[0] == "*filter":
        changes.insert(0, f":FORWARD {policy} [0:0]")
    return changes


def _forward_policy(saved: str) -> str:
    found = re.search(r"^\*filter$.*?^:FORWARD (\S+)", saved, re.MULTILINE | re.DOTALL)
    return found[1] if found else "ACCEPT"


def _save(tool: str) -> str:
    command = f"{tool}-save"
    return shell.run([command]) if shutil.which(command) else ""


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name
