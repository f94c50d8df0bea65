"""How an installation is set up: one YAML file, written by the chart, never a secret in it."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from sales_api.request import explain


class SettingsError(ValueError):
    """The settings cannot be used; the text tells which and why, and holds no values."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )


class ObjectStore(_Part):
    """Where sales files land."""

    endpoint: str | None = None
    """URL; none means the provider's default."""
    region: str = "us-east-1"
    ca_file: Path | None = None
    credentials: Path = Path("/etc/sales-operator/object-store")
    """Folder with the files `access_key` and `secret_key`, read anew whenever they change."""
    target: str = "arn:minio:sqs::SALES:webhook"
    """ARN of the notification target that posts to the receiver, however long that takes."""
    quick_target: str | None = None
    """ARN of a target that posts at once or not at all, beside the other."""


class Receiver(_Part):
    """The HTTPS server: events, probes, metrics."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod's own network; the NetworkPolicy says who gets in
    port: Annotated[int, Field(ge=0, le=65535)] = 8443
    """0: any free one."""
    certificate: Path = Path("/etc/sales-operator/tls/tls.crt")
    key: Path = Path("/etc/sales-operator/tls/tls.key")
    certificates: Path = Path("/etc/sales-operator/certificates")
    """Folder with NAME/tls.crt of each certificate of others whose end the metrics tell."""
    token: Path = Path("/etc/sales-operator/events/token")
    """File with the bearer token that the object store must show."""


class Leadership(_Part):
    """The Lease by which replicas agree who acts."""

    lease: str = "sales-operator"
    duration_seconds: Annotated[int, Field(ge=3)] = 15
    """Whoever does not renew for so long has lost it."""
    renew_seconds: Annotated[int, Field(ge=1)] = 10
    """How long a holder tries to renew before it stops acting; less than the duration."""
    retry_seconds: Annotated[int, Field(ge=1)] = 2

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if not self.retry_seconds < self.renew_seconds < self.duration_seconds:
            raise ValueError("retrySeconds must be less than renewSeconds, and that than duration")
        return self


class ConfigVolume(_Part):
    """A Secret or ConfigMap that every run's pod mounts."""

    name: str
    kind: Literal["Secret", "ConfigMap"]
    mount_path: str


VaultPath = Annotated[str, Field(pattern=r"^[-.\w]+(/[-.\w]+)*$")]
"""It becomes a part of a template, which it must not end."""


class Vault(_Part):
    """Where Vault keeps the credentials of runs."""

    mode: Literal["agent", "direct"]
    """Who asks for them: the agent that the injector puts into the pod, or the pipeline."""
    address: str
    role: VaultPath = "sales-pipeline"
    auth_path: VaultPath = "kubernetes"
    kv_mount: VaultPath = "kv"
    kv_path: VaultPath = "sales"
    database_path: VaultPath | Literal[""] = "database/creds/sales-pipeline"
    """Where it makes logins to the warehouse; empty: the one in the KV engine serves."""


class WebIdentity(_Part):
    """How the object store knows runs by the token of their service account, in place of keys."""

    audience: Annotated[str, Field(min_length=1)]
    """What the token is made for."""
    role_arn: Annotated[str, Field(pattern=r"^(arn:\S{16,})?$")] = ""
    """The role that it is for; empty: the one that MinIO makes of the audience."""


class PipelineJobs(_Part):
    """How the pods of runs are made, as far as the installation decides and not the ingest."""

    image: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: list[str] = []
    service_account: str = "sales-pipeline"
    run_as_user: int = 10001
    run_as_group: int = 1000
    environment: dict[str, str] = {}
    """Settings of the pipeline (SALES_*), never a secret."""
    vault: Vault | None = None
    """None: the credentials are among the volumes."""
    web_identity: WebIdentity | None = None
    """None: the keys of the object store are among the credentials."""
    volumes: list[ConfigVolume] = []
    """The CA and, without Vault, a Secret for each of the folders under /vault/secrets."""


class Settings(_Part):
    """The operator's surroundings."""

    namespace: str
    """Its own: the Lease is there."""
    watch_namespaces: list[str] = []
    """Where ingests are looked for; none: in all namespaces."""
    instance: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "sales-operator"
    """Tells this installation's notification rules in a bucket from those of others."""
    resync_seconds: Annotated[int, Field(ge=5)] = 300
    """How often everything is looked at, whatever events came; give or take a tenth."""
    max_live_jobs: Annotated[int, Field(ge=1)] = 20
    """Jobs alive at once, over all ingests."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Ingests that are looked at side by side."""
    object_store: ObjectStore = ObjectStore()
    receiver: Receiver = Receiver()
    leadership: Leadership = Leadership()
    pipeline: PipelineJobs


def read_settings(path: Path) -> Settings:
    """The settings in a file.

    Raises:
        SettingsError: It cannot be read, or holds something that makes no sense.
    """
    try:
        document: Any = yaml.safe_load(path.read_text("utf-8"))
        return Settings.model_validate(document)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError(f"{path}: not a YAML document") from None
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from None
