"""The door to the three secrets of a run: database login, object-store login, pseudonym key.

Three roads lead to them. Files: one JSON document each, or a folder each with one file per field,
as Kubernetes mounts a Secret. Files that the Vault agent has rendered, with its token beside them.
Or Vault itself. Nobody else reads a credential file. Nothing is kept: each call reads afresh, so
the next one sees a rotated secret. An object store that knows runs by their service account needs
none of the second.

JSON and pydantic errors quote what they choke on. So an error is raised here only *after* its cause
has been let go: `from None` would hide the cause from print, yet leave it in reach.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticCustomError

from sales_pipeline import credential_problems as problems
from sales_pipeline import vault
from sales_pipeline.credential_problems import MAX_EARLIER_KEYS, MIN_KEY_BYTES, Problem
from sales_pipeline.settings import Settings
from sales_pipeline.vault import Document

_JSON: Final = TypeAdapter[Any](Any)
_AGENTS_TOKEN: Final = "token"  # noqa: S105 - the name of a file
M = TypeVar("M", bound=BaseModel)


# --- what the rest of the pipeline sees ---------------------------------------------------------


def _decode_key(value: object) -> object:
    # Only text is base64; bytes come from code that already holds the key.
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        raise PydanticCustomError("base64", "not base64") from None


def _long_enough(key: SecretBytes) -> SecretBytes:
    if len(key) < MIN_KEY_BYTES:
        raise PydanticCustomError("short_key", "short key")
    return key


def _earlier_keys(value: object, validated: ValidatorFunctionWrapHandler) -> dict[int, SecretBytes]:
    pairs = _pairs(value)
    keys: dict[int, SecretBytes] = validated(dict(pairs))
    if len(keys) < len(pairs):
        raise PydanticCustomError("repeated", "repeated")
    return keys


def _pairs(value: object) -> tuple[tuple[object, object], ...]:
    """The fields of a map, or of a JSON object where a secret can hold nothing but text."""
    if isinstance(value, dict):
        return tuple(value.items())
    try:
        # As pairs, an object is told from an array, and what it says twice is seen.
        found = json.loads(value, object_pairs_hook=tuple) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, tuple):
        raise PydanticCustomError("versions", "no versions")
    return found


_Key = Annotated[SecretBytes, BeforeValidator(_decode_key), AfterValidator(_long_enough)]
_Version = Annotated[int, Field(ge=1)]
_CHECKED: Final = b"key-check\x1f"
"""No address and no customer key is written so."""
_CHECK_DIGITS: Final = 16


class _Secret(BaseModel):
    # Fields that somebody keeps there for other readers are none of our business.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class DatabaseLogin(_Secret):
    """Who the pipeline is to PostgreSQL."""

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)
    lease_seconds: int | None = None
    """How long it lives, where Vault has made it."""
    token_seconds: int | None = None
    """How long the token lives that it was asked for with, and dies with."""

    @property
    def is_leased(self) -> bool:
        """Whether Vault has made it: then the next run gets another one."""
        return self.lease_seconds is not None


class ObjectStoreLogin(_Secret):
    """Who the pipeline is to the object store."""

    access_key: SecretStr = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)


@dataclass(frozen=True)
class WebIdentity:
    """Who the pipeline is to an object store that takes its service account's token for keys."""

    role: str
    token_file: Path
    """The kubelet writes a new token there long before the old one ends."""


class PseudonymKey(_Secret):
    """What e-mail addresses are hashed with; without it no dictionary finds them again."""

    key: _Key
    """The key itself, already decoded."""
    key_version: _Version
    """Stored beside each hash, so that hashes of two keys are never taken for one another."""
    previous_keys: Annotated[
        dict[_Version, _Key], Field(max_length=MAX_EARLIER_KEYS), WrapValidator(_earlier_keys)
    ] = Field(default_factory=dict)
    """Keys that were used before, by version: they find customers whom the warehouse knows."""

    @field_validator("previous_keys")
    @classmethod
    def _differ(cls, keys: dict[int, SecretBytes], info: ValidationInfo) -> dict[int, SecretBytes]:
        if any(version >= info.data.get("key_version", version + 1) for version in keys):
            raise PydanticCustomError("not_earlier", "not earlier")
        all_keys = [*keys.values(), *filter(None, [info.data.get("key")])]
        if len({key.get_secret_value() for key in all_keys}) < len(all_keys):
            raise PydanticCustomError("repeated", "repeated")
        return keys

    def earlier(self) -> dict[int, bytes]:
        """The earlier keys by version."""
        return {version: key.get_secret_value() for version, key in self.previous_keys.items()}

    def checks(self) -> dict[int, str]:
        """For each version what tells its key from any other, and gives no key away."""
        keys = {self.key_version: self.key.get_secret_value(), **self.earlier()}
        return {
            version: hmac.new(key, _CHECKED, hashlib.sha256).hexdigest()[:_CHECK_DIGITS]
            for version, key in keys.items()
        }


@dataclass(frozen=True)
class Credentials:
    """All secrets of one run."""

    database: DatabaseLogin
    object_store: ObjectStoreLogin | WebIdentity
    pseudonym: PseudonymKey


@contextmanager
def open_credentials(settings: Settings) -> Iterator[Credentials]:
    """The three secrets, good until the block ends; a token of Vault is then revoked.

    Raises:
        ConfigurationError: A secret is missing, refused or unusable; says where and which field.
        TemporaryError: Vault cannot be reached, is sealed or fails.
    """
    with _reading(settings) as read:
        yield Credentials(
            database=_database_login(read("database"), settings.deadline_seconds),
            object_store=_object_store_login(read, settings),
            pseudonym=_parse(PseudonymKey, read("pseudonym")),
        )


@contextmanager
def open_database_login(settings: Settings) -> Iterator[DatabaseLogin]:
    """That one secret alone, for commands that need no other; raises as the above does."""
    with _reading(settings) as read:
        yield _database_login(read("database"), settings.deadline_seconds)


def load_object_store_login(settings: Settings) -> ObjectStoreLogin | WebIdentity:
    """Read that one secret alone, which needs no token to stay good; raises as the above does."""
    if settings.s3_auth == "webIdentity":
        return _web_identity(settings)
    with _reading(settings) as read:
        return _object_store_login(read, settings)


@contextmanager
def _reading(settings: Settings) -> Iterator[Callable[[str], Document]]:
    def from_file(name: str) -> Document:
        return _read_file(settings.credentials_dir / name)

    if settings.credentials == "direct":
        with vault.session(settings) as session:
            yield session.read
    elif settings.credentials == "agent":
        with vault.holding(settings, _read_field(settings.credentials_dir / _AGENTS_TOKEN)):
            yield from_file
    else:
        yield from_file


# --- one document, one model --------------------------------------------------------------------


def _database_login(document: Document, deadline: int | None) -> DatabaseLogin:
    login = _parse(DatabaseLogin, document)
    # Vault says 0 of what never ends.
    lives = min(filter(None, (login.lease_seconds, login.token_seconds)), default=None)
    if lives and deadline and lives < deadline:
        raise problems.too_short(lives, deadline).at(document.where)
    return login


def _object_store_login(
    read: Callable[[str], Document], settings: Settings
) -> ObjectStoreLogin | WebIdentity:
    if settings.s3_auth == "webIdentity":
        return _web_identity(settings)
    return _parse(ObjectStoreLogin, read("object-store"))


def _web_identity(settings: Settings) -> WebIdentity:
    if settings.s3_role is None:
        raise _NO_ROLE.at("SALES_S3_ROLE")
    # Looked at here, for the driver would take a file that is not there for a broken connection.
    if not _is_legible(settings.s3_token_file):
        raise _NO_IDENTITY.at(settings.s3_token_file)
    return WebIdentity(settings.s3_role, settings.s3_token_file)


def _is_legible(token: Path) -> bool:
    try:
        return bool(token.read_text("ascii").strip())
    except (OSError, ValueError):
        return False


_NO_ROLE: Final = Problem(
    "no role is named that the service account's token is for",
    "Set it to the role's ARN, which the object store tells when it starts.",
    "identity.role",
)
_NO_IDENTITY: Final = Problem(
    "the service account's token cannot be read",
    "Project one for the object store's audience there, or set SALES_S3_TOKEN_FILE.",
    "identity.token",
)


def _parse(model: type[M], document: Document) -> M:
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        faults = "; ".join(_describe(fault["loc"], fault["type"]) for fault in error.errors())
    raise Problem(faults, _expected(model), "credentials.invalid").at(document.where)


def _describe(loc: tuple[int | str, ...], kind: str) -> str:
    if not loc:
        return "the content is not a JSON object"
    part = "field"
    if len(loc) > 1:
        # Neither is told: whoever takes the one for the other has written a key as the version.
        part = "a version in field" if loc[-1] == "[key]" else "a key in field"
    return f"{part} {loc[0]} {problems.FAULTS.get(kind, 'has a value that cannot be used')}"


def _expected(model: type[BaseModel]) -> str:
    fields = " and ".join(n for n, field in model.model_fields.items() if field.is_required())
    shape = f"Give a JSON object, or a folder of files, with {fields}."
    return f"{shape} `openssl rand -base64 32` makes a key." if model is PseudonymKey else shape


# --- the road of files --------------------------------------------------------------------------


def _read_file(path: Path) -> Document:
    return _read_fields(path) if path.is_dir() else _read_json(path)


def _read_fields(folder: Path) -> Document:
    try:
        files = list(folder.iterdir())
    except OSError:
        problem = problems.UNREADABLE
    else:
        # Kubernetes keeps its bookkeeping beside the fields, under names that begin with two dots.
        fields = {file.name: _read_field(file) for file in files if not file.name.startswith("..")}
        return Document(str(folder), fields)
    raise problem.at(folder)


def _read_field(path: Path) -> str:
    try:
        # Like a shell's $(cat file): the end of a last line is no part of a password.
        return _read_bytes(path).decode().rstrip("\n")
    except UnicodeDecodeError:
        problem = problems.NOT_TEXT
    raise problem.at(path)


def _read_json(path: Path) -> Document:
    raw = _read_bytes(path)
    try:
        return Document(str(path), _JSON.validate_json(raw))
    except ValidationError:
        problem = problems.NOT_JSON
    raise problem.at(path)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        problem = problems.NO_FILE if path.parent.is_dir() else problems.NO_FOLDER
    except OSError:
        problem = problems.UNREADABLE
    raise problem.at(path)
