"""An error says in one line what went wrong, where, and how to mend it."""

import pytest

from sales_api.report import ExitCode
from sales_pipeline.codes import FileCode
from sales_pipeline.errors import (
    ConfigurationError,
    LoginEndedError,
    PermanentError,
    PipelineError,
    TemporaryError,
)


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (PermanentError, ExitCode.DATA),
        (TemporaryError, ExitCode.TEMPORARY),
        (LoginEndedError, ExitCode.TEMPORARY),
        (ConfigurationError, ExitCode.CONFIGURATION),
    ],
)
def test_kind_decides_the_exit_code(kind, exit_code):
    """Whether trying again makes sense is told by the type."""
    error = kind("it broke", where="here", mend="Mend it.", code="a.b")

    assert isinstance(error, PipelineError)
    assert error.exit_code is exit_code


def test_message_is_one_line_of_four_parts():
    """Where, what, code, mend."""
    error = PermanentError(
        "the file has no records",
        where="raw/a.csv",
        mend="Send it again with content.",
        code=FileCode.EMPTY,
    )

    assert str(error) == (
        "raw/a.csv: the file has no records [file.empty]. Send it again with content."
    )
    assert error.args == ("the file has no records",)
