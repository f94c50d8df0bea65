"""The errors of the pipeline. Each ends as one line on what, where and how to mend it.

    PipelineError
    ├── PermanentError       the object itself is bad: trying again gives the same    exit 65
    ├── TemporaryError       something around it is: trying again may well succeed    exit 75
    ├── LoginEndedError      what let this run in has ended: a new run gets a new one  exit 75
    └── ConfigurationError   the request or the settings are wrong: a human must act  exit 78

A message never quotes a cell, a secret or a driver's own text: drivers quote what they choke on.
"""

from typing import ClassVar

from sales_api.report import ExitCode


class PipelineError(Exception):
    """What went wrong, where, and how to mend it.

    Args:
        what: The fact, in one clause, free of cell text and secrets.
        where: The object key, host, file or option concerned.
        mend: What a human can do about it.
        code: A stable word for ledger, report and metrics, such as `file.empty`.
    """

    exit_code: ClassVar[ExitCode]

    def __init__(self, what: str, *, where: str, mend: str, code: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend
        self.code = code

    def __str__(self) -> str:
        return f"{self.where}: {self.what} [{self.code}]. {self.mend}"


class PermanentError(PipelineError):
    """The object is bad for good; it goes to quarantine and is not tried again."""

    exit_code = ExitCode.DATA


class TemporaryError(PipelineError):
    """The surroundings failed; the object stays where it is and is tried again."""

    exit_code = ExitCode.TEMPORARY


class LoginEndedError(PipelineError):
    """A login that Vault gave this run is good no more; what was not done stays where it is.

    Not a `TemporaryError`, for this run can do nothing about it: only the next asks for a new one.
    """

    exit_code = ExitCode.TEMPORARY


class ConfigurationError(PipelineError):
    """The request, the settings or the rights are wrong; nothing was touched."""

    exit_code = ExitCode.CONFIGURATION
