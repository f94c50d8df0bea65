"""Where the outside systems are. Read from the environment once, never a secret among it.

Connections and limits are settings, not request: they come from whoever installs the platform,
not from whoever writes a SalesIngest.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sales_pipeline.errors import ConfigurationError

PREFIX = "SALES_"
_EMPTY_COUNTS = {"vault_database_path"}
"""Where nothing is a value of its own; elsewhere an empty variable is one that is not set."""
SslMode = Literal["disable", "require", "verify-ca", "verify-full"]


class Settings(BaseModel):
    """The surroundings of a run; each field is read from `SALES_` + its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    s3_endpoint: str | None = None
    """URL of the object store; none means the provider's default."""
    s3_region: str = "us-east-1"
    s3_ca_file: Path | None = None
    """CA bundle that the object store's certificate must chain to; none means the system's."""
    s3_auth: Literal["keys", "webIdentity"] = "keys"
    """Who a run is to the object store: whoever has the keys `object-store`, or who the service
    account's token says, for which the store gives keys that end by themselves."""
    s3_role: str | None = Field(default=None, pattern=r"^arn:\S{16,}$")
    """ARN of the role that such a token is for."""
    s3_token_file: Path = Path("/var/run/secrets/minidata.io/object-store/token")

    db_host: str = "localhost"
    """Host name, or the folder of a unix socket."""
    db_port: int = Field(default=5432, ge=1, le=65535)
    db_name: str = "postgres"
    db_sslmode: SslMode = "verify-full"
    """TLS by default; `disable` is for a unix socket or loopback only."""
    db_ssl_root_cert: Path | None = None
    db_schema: str = Field(default="sales", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    db_connect_timeout_seconds: int = Field(default=10, ge=1)

    credentials: Literal["files", "agent", "direct"] = "files"
    """Where the three secrets are: in files; in files of the Vault agent, whose token is revoked at
    the end; or in Vault itself, asked for by Kubernetes auth."""
    credentials_dir: Path = Path("/vault/secrets")
    """Folder with the files `database`, `object-store` and `pseudonym`, and the agent's `token`."""
    vault_addr: str | None = None
    vault_ca_file: Path | None = None
    vault_role: str = "sales-pipeline"
    vault_auth_path: str = "kubernetes"
    vault_mount: str = "kv"
    vault_path: str = "sales"
    vault_database_path: str = "database/creds/sales-pipeline"
    """Where Vault makes a login to the database; empty: the one in the KV engine serves."""
    vault_token_file: Path = Path("/var/run/secrets/vault.hashicorp.com/serviceaccount/token")
    deadline_seconds: int | None = Field(default=None, ge=1)
    """After how long the run is ended; a login to the database must live that long."""

    reach_seconds: int = Field(default=0, ge=0)
    """For how long servers that take no connection are tried again before the work begins."""

    block_bytes: int = Field(default=4 * 1024 * 1024, ge=64)
    """How much of a file is in work at once: memory is a small multiple of it."""
    termination_log: Path | None = None
    """Where the report goes for the operator; Kubernetes mounts /dev/termination-log."""


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment.

    Raises:
        ConfigurationError: A variable has a value that makes no sense, or is not known.
    """
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    given = ((names[key], value) for key, value in environ.items() if key in names)
    values = {name: value for name, value in given if value or name in _EMPTY_COUNTS}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        bad = ", ".join(sorted(PREFIX + str(e["loc"][0]).upper() for e in error.errors()))
        raise ConfigurationError(
            "an environment variable has a value that cannot be used",
            where=bad,
            mend="See `sales-pipeline --help` for what each one takes.",
            code="settings.invalid",
        ) from None
