"""The door to the three secrets of a run: database login, object-store login, pseudonym key.

Two roads lead to them. Files: one JSON document each, as the Vault agent renders them, or a folder
each with one file per field, as Kubernetes mounts a Secret. Or Vault itself, by Kubernetes auth,
where no agent is wanted. Nobody else reads a credential file or
talks to Vault. Nothing is kept: each call reads afresh, so the next one sees a rotated secret.

JSON, pydantic and HTTP errors quote what they choke on. So an error is raised here only *after*
its cause has been let go: `from None` would hide the cause from print, yet leave it in reach.
"""

import base64
import contextlib
import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import hvac
import hvac.exceptions
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
)
from pydantic_core import PydanticCustomError

from sales_pipeline import credential_problems as problems
from sales_pipeline.credential_problems import MIN_KEY_BYTES, Problem
from sales_pipeline.errors import PipelineError, TemporaryError
from sales_pipeline.settings import Settings

_TIMEOUT_SECONDS: Final = 10
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_JSON: Final = TypeAdapter[Any](Any)
_log = logging.getLogger(__name__)
T = TypeVar("T")
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


class _Secret(BaseModel):
    # Fields that somebody keeps there for other readers are none of our business.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class DatabaseLogin(_Secret):
    """Who the pipeline is to PostgreSQL."""

    username: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)


class ObjectStoreLogin(_Secret):
    """Who the pipeline is to the object store."""

    access_key: SecretStr = Field(min_length=1)
    secret_key: SecretStr = Field(min_length=1)


class PseudonymKey(_Secret):
    """What e-mail addresses are hashed with; without it no dictionary finds them again."""

    key: Annotated[SecretBytes, BeforeValidator(_decode_key), AfterValidator(_long_enough)]
    """The key itself, already decoded."""
    key_version: int = Field(ge=1)
    """Stored beside each hash, so that hashes of two keys are never taken for one another."""


@dataclass(frozen=True)
class Credentials:
    """All secrets of one run."""

    database: DatabaseLogin
    object_store: ObjectStoreLogin
    pseudonym: PseudonymKey


def load_credentials(settings: Settings) -> Credentials:
    """Read the three secrets by the road that the settings name.

    Args:
        settings: With `vault_addr` from Vault itself, else from the files of `credentials_dir`.

    Raises:
        ConfigurationError: A secret is missing, refused or unusable; says where and which field.
        TemporaryError: Vault cannot be reached, is sealed or fails.
    """
    with _reading(settings) as read:
        return Credentials(
            database=_parse(DatabaseLogin, read("database")),
            object_store=_parse(ObjectStoreLogin, read("object-store")),
            pseudonym=_parse(PseudonymKey, read("pseudonym")),
        )


def load_database_login(settings: Settings) -> DatabaseLogin:
    """Read that one secret alone, for commands that need no other; raises as the above does."""
    with _reading(settings) as read:
        return _parse(DatabaseLogin, read("database"))


def load_object_store_login(settings: Settings) -> ObjectStoreLogin:
    """Read that one secret alone, for commands that need no other; raises as the above does."""
    with _reading(settings) as read:
        return _parse(ObjectStoreLogin, read("object-store"))


@contextlib.contextmanager
def _reading(settings: Settings) -> Iterator[Callable[[str], "_Document"]]:
    if settings.vault_addr is None:
        yield lambda name: _read_file(settings.credentials_dir / name)
        return
    with _vault(settings, settings.vault_addr) as client:
        yield lambda name: _read_secret(client, settings, name)


# --- one document, one model --------------------------------------------------------------------


@dataclass(frozen=True)
class _Document:
    where: str
    content: Any = field(repr=False)


def _parse(model: type[M], document: _Document) -> M:
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        faults = "; ".join(_describe(fault["loc"], fault["type"]) for fault in error.errors())
    raise Problem(faults, _expected(model), "credentials.invalid").at(document.where)


def _describe(loc: tuple[int | str, ...], kind: str) -> str:
    if not loc:
        return "the content is not a JSON object"
    return f"field {loc[0]} {problems.FAULTS.get(kind, 'has a value that cannot be used')}"


def _expected(model: type[BaseModel]) -> str:
    fields = " and ".join(model.model_fields)
    shape = f"Give a JSON object, or a folder of files, with {fields}."
    return f"{shape} `openssl rand -base64 32` makes a key." if model is PseudonymKey else shape


# --- the road of files --------------------------------------------------------------------------


def _read_file(path: Path) -> _Document:
    return _read_fields(path) if path.is_dir() else _read_json(path)


def _read_fields(folder: Path) -> _Document:
    try:
        files = list(folder.iterdir())
    except OSError:
        problem = problems.UNREADABLE
    else:
        # Kubernetes keeps its bookkeeping beside the fields, under names that begin with two dots.
        fields = {file.name: _read_field(file) for file in files if not file.name.startswith("..")}
        return _Document(str(folder), fields)
    raise problem.at(folder)


def _read_field(path: Path) -> str:
    try:
        # Like a shell's $(cat file): the end of a last line is no part of a password.
        return _read_bytes(path).decode().rstrip("\n")
    except UnicodeDecodeError:
        problem = problems.NOT_TEXT
    raise problem.at(path)


def _read_json(path: Path) -> _Document:
    raw = _read_bytes(path)
    try:
        return _Document(str(path), _JSON.validate_json(raw))
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


# --- the road to Vault --------------------------------------------------------------------------


@contextlib.contextmanager
def _vault(settings: Settings, address: str) -> Iterator[hvac.Client]:
    if not _is_fit(address):
        raise problems.BAD_ADDRESS.at("SALES_VAULT_ADDR")
    client = hvac.Client(
        url=address,
        token="",  # none yet, or hvac would take one from the environment or the home folder
        verify=_trust(settings.vault_ca_file),
        timeout=_TIMEOUT_SECONDS,
    )
    with contextlib.closing(client.adapter):
        _login(client, settings)
        try:
            yield client
        finally:
            _revoke(client)


def _is_fit(address: str) -> bool:
    try:
        url = urlsplit(address)
        host, _ = url.hostname, url.port  # an unusable port raises only when it is asked for
    except ValueError:
        return False
    secure = url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
    return secure and bool(host) and url.username is None


def _trust(ca_file: Path | None) -> str | bool:
    if ca_file is None:
        return True
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:
        problem = problems.NO_CA
    else:
        return str(ca_file)
    raise problem.at(ca_file)


def _login(client: hvac.Client, settings: Settings) -> None:
    jwt = _read_token(settings.vault_token_file)
    _ask(
        lambda: client.auth.kubernetes.login(role=settings.vault_role, jwt=jwt),
        where=f"{client.url} role {settings.vault_role}",
        denied=problems.LOGIN_REFUSED,
        absent=problems.LOGIN_REFUSED,
    )


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        problem = problems.NO_TOKEN
    raise problem.at(path)


def _read_secret(client: hvac.Client, settings: Settings, name: str) -> _Document:
    path = f"{settings.vault_path.strip('/')}/{name}"
    where = f"{client.url} {settings.vault_mount}/data/{path}"

    def read() -> Any:
        answer = client.secrets.kv.v2.read_secret_version(
            path, mount_point=settings.vault_mount, raise_on_deleted_version=True
        )
        return answer["data"]["data"]

    return _Document(
        where, _ask(read, where=where, denied=problems.FORBIDDEN, absent=problems.ABSENT)
    )


def _revoke(client: hvac.Client) -> None:
    # The secrets are read by now; a token left to its short time to live should fail no run.
    try:
        client.auth.token.revoke_self()
    except (hvac.exceptions.VaultError, OSError):
        _log.warning("the Vault token was not revoked; it ends with its time to live")


_DENIALS: Final = (
    hvac.exceptions.InvalidRequest,
    hvac.exceptions.Unauthorized,
    hvac.exceptions.Forbidden,
)
_MISSHAPEN: Final = (LookupError, TypeError, AttributeError)
"""What taking apart an answer that is not Vault's ends in."""


def _ask(call: Callable[[], T], *, where: str, denied: Problem, absent: Problem) -> T:
    try:
        return call()
    except (hvac.exceptions.VaultError, OSError, ValueError, *_MISSHAPEN) as error:
        problem = _explain(error, where, denied, absent)
    raise problem


def _explain(error: Exception, where: str, denied: Problem, absent: Problem) -> PipelineError:
    if isinstance(error, _DENIALS):
        return denied.at(where)
    if isinstance(error, hvac.exceptions.InvalidPath):
        return absent.at(where)
    if isinstance(error, ValueError):  # of urllib3 and requests: a host no request can name
        return problems.BAD_ADDRESS.at("SALES_VAULT_ADDR")
    if isinstance(error, _MISSHAPEN):
        return problems.NOT_VAULT.at(where)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error)):
        return problems.UNTRUSTED.at(where)
    return TemporaryError(
        "Vault cannot be reached, is sealed or fails",
        where=where,
        mend="`vault status` tells more; the next try may well succeed.",
        code="vault.unavailable",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
