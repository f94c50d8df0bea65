"""What the object store's notifications say, as values."""

from typing import Annotated
from urllib.parse import unquote_plus

from pydantic import AfterValidator, BaseModel, Field, ValidationError

CREATED = ("Put", "Post", "Copy", "CompleteMultipartUpload")
"""How an object comes to be. `ObjectCreated:*` would also tell of tags and retention."""


class UnreadableError(ValueError):
    """A body that is no notification; its text holds nothing of the body."""


class _Bucket(BaseModel):
    name: Annotated[str, Field(min_length=1)]


class _Object(BaseModel):
    # In records keys are written as in the query of a URL: a space is +, a + is %2B.
    key: Annotated[str, Field(min_length=1), AfterValidator(unquote_plus)]


class _Store(BaseModel):
    bucket: _Bucket
    object: _Object


class _Record(BaseModel):
    event: Annotated[str, Field(alias="eventName")]
    s3: _Store


class _Notification(BaseModel):
    records: Annotated[list[_Record] | None, Field(alias="Records")] = None


def created(body: bytes) -> tuple[tuple[str, str], ...]:
    """The objects that a notification says have come, as pairs of bucket and key.

    None for what tells of something else: removals, tags, a trial, an empty body.

    Raises:
        UnreadableError: It is no notification.
    """
    if not body:
        return ()
    try:
        records = _Notification.model_validate_json(body).records or []
    except ValidationError:
        raise UnreadableError("not a notification") from None
    return tuple((r.s3.bucket.name, r.s3.object.key) for r in records if _is_creation(r.event))


def _is_creation(event: str) -> bool:
    kind, _, how = event.removeprefix("s3:").partition(":")
    return kind == "ObjectCreated" and how in CREATED
