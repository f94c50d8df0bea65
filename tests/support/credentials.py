"""What an error about credentials may never do: show them, or leave them in reach."""

import pytest

from sales_pipeline.credentials import open_credentials
from sales_pipeline.errors import ConfigurationError, PipelineError
from sales_pipeline.settings import Settings

CANARY = "canary-7f3a"
"""Stands in secrets, for nobody to show."""


def fault(settings: Settings, kind: type[PipelineError] = ConfigurationError) -> PipelineError:
    """The error of a load that must fail, searched for the canary and for causes left in reach."""
    with pytest.raises(kind) as caught, open_credentials(settings):
        pass
    error = caught.value
    assert error.__context__ is None
    assert error.__cause__ is None
    assert CANARY not in f"{error} {error!r} {vars(error)}"
    return error
