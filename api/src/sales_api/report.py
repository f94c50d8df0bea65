"""What one run did: at most 4096 bytes, so that it fits a pod's termination message.

The reader is tolerant: the operator may be older or newer than the run it reads about, so unknown
fields are passed over and absent ones take their defaults.
"""

from enum import IntEnum, StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sales_api.names import REPORT_VERSION

MAX_REPORT_BYTES = 4096
MAX_ERRORS = 5
MAX_CODES = 10


class ExitCode(IntEnum):
    """Exit codes of a run, from sysexits.h; the Job's pod failure policy is built from them."""

    DONE = 0
    """All objects are in their final place, rejected rows within the quality gate included."""
    DATA = 65
    """An object is bad for good and lies in quarantine; trying again gives the same."""
    TEMPORARY = 75
    """Something around the run failed; what was not done stays in place for the next try."""
    CONFIGURATION = 78
    """The request, the settings or the rights are wrong; a human must act."""


class Fate(StrEnum):
    """What became of one object."""

    LOADED = "Loaded"
    ALREADY_LOADED = "AlreadyLoaded"
    """The ledger knew it: nothing was loaded, only its archiving was seen to."""
    QUARANTINED = "Quarantined"
    GONE = "Gone"
    """It was there no more, or had other content: another run or upload was faster."""
    FAILED = "Failed"
    """A temporary failure: the object is where it was."""


def _shorten(limit: int) -> BeforeValidator:
    # Bytes, not characters, and as JSON writes them: that is what the message limit counts.
    def cut(value: object) -> object:
        if not isinstance(value, str):
            return value
        ascii_only = value.encode("ascii", "replace").decode()
        plain = "".join(c if c.isprintable() and c not in '"\\' else "?" for c in ascii_only)
        return plain if len(plain) <= limit else plain[: limit - 3] + "..."

    return BeforeValidator(cut)


Short = Annotated[str, _shorten(64)]
Line = Annotated[str, _shorten(200)]
Count = Annotated[int, Field(ge=0, le=10**15)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True
    )


class Files(_Part):
    """Objects by fate."""

    loaded: Count = 0
    already_loaded: Count = 0
    quarantined: Count = 0
    gone: Count = 0
    failed: Count = 0


class Rows(_Part):
    """Rows by fate: read = loaded + rejected + deduplicated."""

    read: Count = 0
    loaded: Count = 0
    rejected: Count = 0
    deduplicated: Count = 0

    def __add__(self, other: "Rows") -> "Rows":
        return Rows(
            read=self.read + other.read,
            loaded=self.loaded + other.loaded,
            rejected=self.rejected + other.rejected,
            deduplicated=self.deduplicated + other.deduplicated,
        )


class ReportedError(_Part):
    """One object that did not end loaded, or one that loaded with a warning."""

    key: Short
    code: Short
    message: Line


class RunReport(_Part):
    """What one run did. Built only from counts, codes and bounded texts; no values of rows."""

    api_version: Short = REPORT_VERSION
    ingest: Short = ""
    run: Short = ""
    attempt: Count = 1
    exit_code: ExitCode = ExitCode.DONE
    files: Files = Files()
    rows: Rows = Rows()
    reject_codes: Annotated[dict[Short, Count], Field(max_length=MAX_CODES)] = {}
    """The most frequent codes; the ledger has all of them."""
    errors: Annotated[list[ReportedError], Field(max_length=MAX_ERRORS)] = []
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None

    def to_message(self) -> bytes:
        """The termination message: one JSON document of at most 4096 bytes."""
        message = self.model_dump_json(by_alias=True).encode()
        if len(message) > MAX_REPORT_BYTES:
            raise AssertionError("the bounds of the report's fields no longer fit its limit")
        return message

    @classmethod
    def parse(cls, message: str | bytes) -> "RunReport":
        """The report in a termination message.

        Raises:
            pydantic.ValidationError: It is not one.
        """
        return cls.model_validate_json(message)
