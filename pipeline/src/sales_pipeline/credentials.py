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

from sales_pipeline.errors import ConfigurationError, PipelineError, TemporaryError
from sales_pipeline.settings import Settings

MIN_KEY_BYTES: Final = 32
"""As long as the hash it drives: a shorter key is easier to guess than SHA-256 to break."""

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
    if settings.vault_addr is None:
        return _collect(lambda name: _read_file(settings.credentials_dir / name))
    with _vault(settings, settings.vault_addr) as client:
        return _collect(lambda name: _read_secret(client, settings, name))


# --- what can be wrong --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Problem:
    what: str
    mend: str
    code: str

    def at(self, where: object) -> ConfigurationError:
        return ConfigurationError(self.what, where=str(where), mend=self.mend, code=self.code)


_MOUNT: Final = "Have the Vault agent render it or a Secret mounted, or set SALES_VAULT_ADDR."
_NO_FOLDER: Final = _Problem("its folder does not exist", _MOUNT, "credentials.missing")
_NO_FILE: Final = _Problem("the file does not exist", _MOUNT, "credentials.missing")
_UNREADABLE: Final = _Problem(
    "the file cannot be read",
    "Give the pipeline's user or group the right to read it.",
    "credentials.unreadable",
)
_NOT_JSON: Final = _Problem(
    "the file is not JSON", "Render it with `{{ .Data.data | toJSON }}`.", "credentials.invalid"
)
_NOT_TEXT: Final = _Problem(
    "the file is not text", "Store the field as UTF-8 text.", "credentials.invalid"
)
_NO_TOKEN: Final = _Problem(
    "the service account's token cannot be read",
    "Project one with audience `vault` there, or set SALES_VAULT_TOKEN_FILE.",
    "vault.token",
)
_BAD_ADDRESS: Final = _Problem(
    "the address cannot be used",
    "Give `https://host:port`, without a login; plain http is for loopback only.",
    "vault.address",
)
_NOT_VAULT: Final = _Problem(
    "what answers there is not Vault", "Correct SALES_VAULT_ADDR.", "vault.address"
)
_NO_CA: Final = _Problem(
    "the CA file cannot be read or holds no certificate",
    "Point SALES_VAULT_CA_FILE at the PEM of the CA that signed Vault's certificate.",
    "vault.certificate",
)
_UNTRUSTED: Final = _Problem(
    "the certificate is not trusted, is out of date or names another host",
    "Point SALES_VAULT_CA_FILE at its CA, or renew it.",
    "vault.certificate",
)
_LOGIN_REFUSED: Final = _Problem(
    "Vault refused the login",
    # Vault says the same when it cannot ask Kubernetes, so both are named.
    "Bind the role to this service account and audience `vault`; is Kubernetes' API up?",
    "vault.login",
)
_FORBIDDEN: Final = _Problem(
    "Vault does not let this role read the secret",
    "Allow `read` on this path in the role's policy.",
    "vault.forbidden",
)
_ABSENT: Final = _Problem(
    "Vault holds no such secret", "Write it with `vault kv put`.", "vault.missing"
)

_FAULTS: Final = {
    "missing": "is missing",
    "string_type": "is not text",
    "bytes_type": "is not text",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "base64": "is not base64",
    "short_key": f"has fewer than {MIN_KEY_BYTES} bytes once decoded",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "greater_than_equal": "is less than 1",
}
"""Our words for pydantic's: its own may quote the value."""


# --- one document, one model --------------------------------------------------------------------


@dataclass(frozen=True)
class _Document:
    where: str
    content: Any = field(repr=False)


def _collect(read: Callable[[str], _Document]) -> Credentials:
    return Credentials(
        database=_parse(DatabaseLogin, read("database")),
        object_store=_parse(ObjectStoreLogin, read("object-store")),
        pseudonym=_parse(PseudonymKey, read("pseudonym")),
    )


def _parse(model: type[M], document: _Document) -> M:
    try:
        return model.model_validate(document.content)
    except ValidationError as error:
        faults = "; ".join(_describe(fault["loc"], fault["type"]) for fault in error.errors())
    raise _Problem(faults, _expected(model), "credentials.invalid").at(document.where)


def _describe(loc: tuple[int | str, ...], kind: str) -> str:
    if not loc:
        return "the content is not a JSON object"
    return f"field {loc[0]} {_FAULTS.get(kind, 'has a value that cannot be used')}"


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
        problem = _UNREADABLE
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
        problem = _NOT_TEXT
    raise problem.at(path)


def _read_json(path: Path) -> _Document:
    raw = _read_bytes(path)
    try:
        return _Document(str(path), _JSON.validate_json(raw))
    except ValidationError:
        problem = _NOT_JSON
    raise problem.at(path)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        problem = _NO_FILE if path.parent.is_dir() else _NO_FOLDER
    except OSError:
        problem = _UNREADABLE
    raise problem.at(path)


# --- the road to Vault --------------------------------------------------------------------------


@contextlib.contextmanager
def _vault(settings: Settings, address: str) -> Iterator[hvac.Client]:
    if not _is_fit(address):
        raise _BAD_ADDRESS.at("SALES_VAULT_ADDR")
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
        problem = _NO_CA
    else:
        return str(ca_file)
    raise problem.at(ca_file)


def _login(client: hvac.Client, settings: Settings) -> None:
    jwt = _read_token(settings.vault_token_file)
    _ask(
        lambda: client.auth.kubernetes.login(role=settings.vault_role, jwt=jwt),
        where=f"{client.url} role {settings.vault_role}",
        denied=_LOGIN_REFUSED,
        absent=_LOGIN_REFUSED,
    )


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        problem = _NO_TOKEN
    raise problem.at(path)


def _read_secret(client: hvac.Client, settings: Settings, name: str) -> _Document:
    path = f"{settings.vault_path.strip('/')}/{name}"
    where = f"{client.url} {settings.vault_mount}/data/{path}"

    def read() -> Any:
        answer = client.secrets.kv.v2.read_secret_version(
            path, mount_point=settings.vault_mount, raise_on_deleted_version=True
        )
        return answer["data"]["data"]

    return _Document(where, _ask(read, where=where, denied=_FORBIDDEN, absent=_ABSENT))


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


def _ask(call: Callable[[], T], *, where: str, denied: _Problem, absent: _Problem) -> T:
    try:
        return call()
    except (hvac.exceptions.VaultError, OSError, ValueError, *_MISSHAPEN) as error:
        problem = _explain(error, where, denied, absent)
    raise problem


def _explain(error: Exception, where: str, denied: _Problem, absent: _Problem) -> PipelineError:
    if isinstance(error, _DENIALS):
        return denied.at(where)
    if isinstance(error, hvac.exceptions.InvalidPath):
        return absent.at(where)
    if isinstance(error, ValueError):  # of urllib3 and requests: a host no request can name
        return _BAD_ADDRESS.at("SALES_VAULT_ADDR")
    if isinstance(error, _MISSHAPEN):
        return _NOT_VAULT.at(where)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error)):
        return _UNTRUSTED.at(where)
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
