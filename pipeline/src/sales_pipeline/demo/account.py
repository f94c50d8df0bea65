"""Whom a server runs as. PostgreSQL refuses to run as root, so root lends it an account."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from stat import S_IXOTH
from typing import Any

from sales_pipeline.errors import ConfigurationError

UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """An account of this machine, without any right beyond its own files."""

    uid: int
    gid: int

    def as_identity(self) -> dict[str, Any]:
        """The arguments of `subprocess` that run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a file or folder over to this account."""
        os.chown(path, self.uid, self.gid)


def server_account() -> Account | None:
    """The account to lend when we are root; none when we are somebody ordinary ourselves.

    Raises:
        ConfigurationError: We are root and the machine knows no unprivileged account.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise ConfigurationError(
            "PostgreSQL refuses to run as root and there is no account to run it as",
            where=UNPRIVILEGED,
            mend="Add that account, or run as an ordinary user.",
            code="demo.no_account",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def reachable(path: Path, account: Account | None) -> bool:
    """Whether the account may walk to the path; we never widen the rights of others' folders."""
    folders = path.resolve().parents
    return account is None or all(folder.stat().st_mode & S_IXOTH for folder in folders)
