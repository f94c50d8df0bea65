"""The plan file, read and checked: what Vault shall be like. PLAN.md tells of each field."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from sales_vault.errors import ConfigurationError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(text: object) -> object:
    found = re.fullmatch(r"(\d+)([smhd])", text) if isinstance(text, str) else None
    if not found:
        raise ValueError("a time is written such as 90s, 15m, 8h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def _content(path: object) -> object:
    try:
        return Path(str(path)).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError("the file cannot be read") from None


Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_.-]*$")]
"""Lower case only: Vault would make it so, and it would differ for ever."""
_PART = "[a-zA-Z0-9_][a-zA-Z0-9_.-]*"
SecretPath = Annotated[str, Field(pattern=f"^{_PART}(/{_PART})*$")]
Content = Annotated[str, BeforeValidator(_content)]
"""Of the file that the plan names."""
Capability = Literal["create", "read", "update", "patch", "delete", "list", "sudo", "deny"]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )


class Initialise(_Part):
    """How a server without data is begun."""

    shares: Annotated[int, Field(ge=1)] = 5
    threshold: Annotated[int, Field(ge=1)] = 3

    @model_validator(mode="after")
    def _enough_shares(self) -> Self:
        if self.threshold > self.shares:
            raise ValueError("threshold must not be greater than shares")
        return self


class Audit(_Part):
    """An audit device."""

    type: str
    options: dict[str, str] = {}


class Random(_Part):
    """Text from random bytes, enough of them that nobody guesses it."""

    bytes: Annotated[int, Field(ge=16, le=1024)]
    encoding: Literal["base64", "base64url", "hex"] = "base64url"
    prefix: str = ""


class RandomField(_Part):
    """A field of a secret that is made up."""

    random: Random


class ValueField(_Part):
    """A field of a secret that everybody may know."""

    value: str


SecretFields = Annotated[dict[str, RandomField | ValueField], Field(min_length=1)]


class KeyValue(_Part):
    """The key-value engine, and the secrets to make in it."""

    mount: SecretPath = "kv"
    generate: dict[SecretPath, SecretFields] = {}


class Kubernetes(_Part):
    """The auth method by which service accounts log in."""

    mount: SecretPath = "kubernetes"
    host: str = "https://kubernetes.default.svc"
    ca: Annotated[Content | None, Field(alias="caFile")] = None
    reviewer_token: Annotated[
        Annotated[SecretStr, BeforeValidator(_content)] | None, Field(alias="reviewerTokenFile")
    ] = None


class Role(_Part):
    """Which service accounts log in as what."""

    service_accounts: list[str] | None = None
    namespaces: Annotated[list[str], Field(min_length=1)]
    audience: Annotated[str, Field(min_length=1)] = "vault"
    policies: list[Name] | None = None
    ttl: Seconds = 900
    max_ttl: Seconds | None = None


class Connection(_Part):
    """A PostgreSQL server, and the login that makes logins there."""

    host: str
    """Host name, or the folder of a unix socket."""
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    database: str
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    ca_file: str | None = None
    login: SecretPath
    rotate_login: bool = False

    @model_validator(mode="after")
    def _certificate_can_be_verified(self) -> Self:
        if self.sslmode.startswith("verify") and not self.ca_file:
            raise ValueError("caFile is needed to verify the server's certificate")
        return self


Statements = Annotated[list[str], Field(min_length=1)]


class DatabaseRole(_Part):
    """Logins to order."""

    connection: Name
    creation: Statements
    revocation: Statements
    ttl: Seconds = 3600
    max_ttl: Seconds | None = None


class Database(_Part):
    """The database engine."""

    mount: SecretPath = "database"
    connections: dict[Name, Connection] = {}
    roles: dict[Name, DatabaseRole] = {}

    @model_validator(mode="after")
    def _connections_are_there(self) -> Self:
        if missing := {role.connection for role in self.roles.values()} - set(self.connections):
            raise ValueError(f"no such connection: {', '.join(sorted(missing))}")
        return self


class Plan(_Part):
    """All that Vault shall be."""

    initialise: Initialise = Initialise()
    audit: dict[Name, Audit] = {}
    kv: KeyValue | None = None
    kubernetes: Kubernetes = Kubernetes()
    policies: dict[Name, dict[str, Annotated[list[Capability], Field(min_length=1)]]] = {}
    roles: dict[Name, Role] = {}
    setup_role: Name = "vault-setup"
    database: Database | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.setup_role not in self.roles:
            raise ValueError(f"roles: {self.setup_role}, the setupRole, is missing")
        if self.database and self.database.connections and not self.kv:
            raise ValueError("database: without kv no connection has its login")
        return self


def read_plan(path: Path) -> Plan:
    """The plan in a file.

    Raises:
        ConfigurationError: It cannot be read, or holds something that makes no sense.
    """
    try:
        document: Any = yaml.safe_load(path.read_text("utf-8"))
        return Plan.model_validate(document)
    except OSError as error:
        raise _unusable(path, error.strerror or "cannot be read") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise _unusable(path, "not a YAML document") from None
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()]
        raise _unusable(path, "; ".join(faults)) from None


def _unusable(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(what, where=path, mend="vault/PLAN.md tells of each field.")
