"""The errors of the setup. Each ends as one line on what, where and how to mend it.

    SetupError
    ├── TemporaryError       something around it failed: trying again may well succeed    exit 75
    └── ConfigurationError   the plan, the settings or rights: a human must act           exit 78

A message never quotes a secret or a driver's own text: drivers quote what they choke on.
"""

from typing import ClassVar


class SetupError(Exception):
    """What went wrong, where, and how to mend it.

    Args:
        what: The fact, in one clause, free of secrets.
        where: The address, path, file or variable concerned.
        mend: What a human can do about it.
    """

    exit_code: ClassVar[int]

    def __init__(self, what: str, *, where: object, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where)
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}"


class TemporaryError(SetupError):
    """The surroundings failed; what was done stands, and the next run goes on from there."""

    exit_code = 75


class ConfigurationError(SetupError):
    """The plan, the settings or the rights are wrong; what was done before stands."""

    exit_code = 78
