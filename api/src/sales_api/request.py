"""What one run must do: frozen into the Job that does it, so later edits touch later runs only."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from sales_api.model import Model
from sales_api.names import REQUEST_ENV
from sales_api.v1alpha1 import Key, Processing, Source, Text

MAX_REQUEST_BYTES = 120_000
"""Linux refuses a longer environment string than 131 072 bytes; the rest is headroom."""

MAX_OBJECTS = 1000


class RequestError(ValueError):
    """A request that cannot be understood; its text is safe to show."""


class ObjectRef(Model):
    """One stored object, as a listing or an event tells it."""

    key: Key
    version_id: Text | None = None
    """None where the bucket keeps no versions."""
    etag: Text
    size: Annotated[int, Field(ge=0)]
    """Bytes as stored."""
    modified_at: AwareDatetime
    """As a listing tells it: the headers of the object itself may be coarser."""

    @property
    def identity(self) -> str:
        """What tells this content of the key from another: the version where there is one."""
        return self.version_id or self.etag


class RunRequest(Processing):
    """One run: the objects to load, or none for a sweep of all that lies under the prefix."""

    api_version: Literal["run.minidata.io/v1alpha1"] = "run.minidata.io/v1alpha1"
    ingest: Annotated[str, StringConstraints(min_length=1, max_length=317)]
    """namespace/name of the SalesIngest."""
    run: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    attempt: Annotated[int, Field(ge=1)] = 1
    source: Source
    objects: Annotated[list[ObjectRef], Field(max_length=MAX_OBJECTS)] = []

    def to_env(self) -> dict[str, str]:
        """The environment that carries this request.

        Raises:
            RequestError: It is larger than an environment variable may be.
        """
        # Defaults are written out: the request is frozen, whatever a later version defaults to.
        text = self.model_dump_json(by_alias=True, exclude_none=True)
        if len(text.encode()) > MAX_REQUEST_BYTES:
            raise RequestError(f"the request is larger than {MAX_REQUEST_BYTES} bytes")
        return {REQUEST_ENV: text}

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """The request that the environment carries.

        Raises:
            RequestError: It is absent, of an unknown version, or not a request.
        """
        if REQUEST_ENV not in environ:
            raise RequestError(f"the environment has no {REQUEST_ENV}")
        return cls.from_json(environ[REQUEST_ENV])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The request that a JSON text holds.

        Raises:
            RequestError: As for `from_env`; the message names fields, never their values.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise RequestError(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first few places where a document fails its model, without the values found there."""
    lines = [
        f"{'.'.join(str(part) for part in e['loc']) or 'document'}: {e['msg']}"
        for e in error.errors(include_input=False, include_url=False)[:5]
    ]
    return "; ".join(lines)
