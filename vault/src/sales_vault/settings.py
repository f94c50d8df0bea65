"""Where Vault and Kubernetes are. Read from the environment once, never a secret among it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sales_vault.errors import ConfigurationError

PREFIX = "SALES_VAULT_"
_KUBERNETES = {
    "KUBERNETES_SERVICE_HOST": "kubernetes_host",
    "KUBERNETES_SERVICE_PORT": "kubernetes_port",
}
Mode = Literal["dev", "shamirJob", "autoUnseal", "selfInit"]


class Settings(BaseModel):
    """The surroundings; each field is read from `SALES_VAULT_` + its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    addr: str = Field(pattern=r"^https://[^/@\s]+/?$")
    """Vault's address; TLS only."""
    ca_file: Path | None = None
    """CA that Vault's certificate must chain to; none means the system's."""
    mode: Mode
    """Who opens the server: this program, with the keys it keeps, or the server itself."""
    token_file: Path = Path("/var/run/secrets/vault.hashicorp.com/serviceaccount/token")
    """The pod's token with audience `vault`."""
    keys_secret: str | None = None
    """The Kubernetes Secret for the keys; none where the server initialises itself."""
    wait_seconds: int = Field(default=60, ge=0)
    """How long to wait for the server to answer, then to be ready, and for a database."""
    account_dir: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """What Kubernetes mounts for talking to its API: `token`, `ca.crt`, `namespace`."""
    kubernetes_host: str = "kubernetes.default.svc"
    kubernetes_port: int = 443


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment.

    Raises:
        ConfigurationError: A variable is missing, or has a value that makes no sense.
    """
    ours = [name for name in Settings.model_fields if not name.startswith("kubernetes_")]
    names = {PREFIX + name.upper(): name for name in ours} | _KUBERNETES
    values = {names[key]: value for key, value in environ.items() if key in names and value}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        bad = {str(fault["loc"][0]) for fault in error.errors()}
        raise _unusable([key for key, name in names.items() if name in bad]) from None
    if settings.mode != "selfInit" and settings.keys_secret is None:
        raise _unusable([f"{PREFIX}KEYS_SECRET"])
    return settings


def _unusable(variables: list[str]) -> ConfigurationError:
    return ConfigurationError(
        "an environment variable is missing, or has a value that cannot be used",
        where=", ".join(variables),
        mend="See `sales-vault --help` for what each one takes.",
    )
