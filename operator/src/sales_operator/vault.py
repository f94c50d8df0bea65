"""What in pods of runs is about Vault: a token to log in with, and words for the injector. Pure.

The injector goes by annotations of the pod. It puts an agent in front of the container, which logs
in, renders the three secrets and its token as files, and ends. Nobody renews anything afterwards,
and the pipeline revokes the token when it has done.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sales_api import names
from sales_operator.settings import Vault

Manifest = dict[str, Any]

LABEL: Final = f"{names.GROUP}/vault-agent"
"""By which the injector's webhook selects the pods that it is asked about."""
_INJECTOR: Final = "vault.hashicorp.com/"
_VOLUME: Final = "vault-token"
_MOUNT_PATH: Final = "/var/run/secrets/vault.hashicorp.com/serviceaccount"
"""Where agent and pipeline look for the token by themselves."""
_TOKEN_SECONDS: Final = 600
_KEYS: Final = "object-store"
_SECRETS: Final = ("database", _KEYS, "pseudonym")

_SWITCHES: Final = {
    "agent-inject": "true",
    # After the container that waits for the network.
    "agent-init-first": "false",
    # A second container would never end, and neither would the Job.
    "agent-pre-populate-only": "true",
    "agent-inject-token": "true",
    # Without it a login that is refused is tried until the Job's deadline.
    "agent-auto-auth-exit-on-err": "true",
    "agent-service-account-token-volume-name": _VOLUME,
}


def permitted(texts: Mapping[str, str]) -> dict[str, str]:
    """The labels or annotations that an ingest may add: what it cannot choose is its secrets."""
    return {
        name: text
        for name, text in texts.items()
        if name != LABEL and not name.startswith(_INJECTOR)
    }


def metadata(common: Manifest, vault: Vault | None, *, has_keys: bool = True) -> Manifest:
    """That of a pod: what is common to it and its Job, and what the injector is to know.

    Args:
        common: That of the Job.
        vault: None leaves it at that.
        has_keys: Whether those of the object store are among the secrets.
    """
    if vault is None or vault.mode != "agent":
        return common
    return {
        "labels": common["labels"] | {LABEL: "true"},
        "annotations": common["annotations"] | _annotations(vault, has_keys=has_keys),
    }


def volumes(vault: Vault | None) -> list[Manifest]:
    """The token of the service account, which nobody but Vault takes."""
    if vault is None:
        return []
    token = {"audience": "vault", "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
    return [{"name": _VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}]


def mounts(vault: Vault | None) -> list[Manifest]:
    """Where it lies in the container; the injector takes the place from there."""
    if vault is None:
        return []
    return [{"name": _VOLUME, "mountPath": _MOUNT_PATH, "readOnly": True}]


def environment(vault: Vault | None, deadline_seconds: int) -> dict[str, str]:
    """The pipeline's settings of where its credentials are; none of it is secret.

    Args:
        vault: None leaves the pipeline to the files that are mounted.
        deadline_seconds: After how long the Job is ended; a login must live that long.
    """
    if vault is None:
        return {}
    common = {
        "SALES_CREDENTIALS": vault.mode,
        "SALES_VAULT_ADDR": vault.address,
        "SALES_DEADLINE_SECONDS": str(deadline_seconds),
    }
    if vault.mode == "agent":
        return common
    return common | {
        "SALES_VAULT_ROLE": vault.role,
        "SALES_VAULT_AUTH_PATH": vault.auth_path,
        "SALES_VAULT_MOUNT": vault.kv_mount,
        "SALES_VAULT_PATH": vault.kv_path,
        "SALES_VAULT_DATABASE_PATH": vault.database_path,
    }


def _annotations(vault: Vault, *, has_keys: bool) -> dict[str, str]:
    where = {"service": vault.address, "auth-path": f"auth/{vault.auth_path}", "role": vault.role}
    secrets = [name for name in _SECRETS if has_keys or name != _KEYS]
    return {
        _INJECTOR + name: text
        for name, text in (*_SWITCHES.items(), *where.items(), *_templates(vault, secrets))
    }


def _templates(vault: Vault, secrets: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Path and template of each file, which is named as the pipeline looks for it."""
    for name in secrets:
        path, template = f"{vault.kv_mount}/data/{vault.kv_path}/{name}", _KV
        if name == "database" and vault.database_path:
            path, template = vault.database_path, _LOGIN
        yield f"agent-inject-secret-{name}", path
        yield f"agent-inject-template-{name}", template.replace("PATH", path)


_KV: Final = '{{ with secret "PATH" }}{{ .Data.data | toJSON }}{{ end }}'
_LOGIN: Final = (
    '{{ with secret "PATH" }}{"username":{{ .Data.username | toJSON }}'
    ',"password":{{ .Data.password | toJSON }},"lease_seconds":{{ .LeaseDuration }}'
    # The login dies with the token, so the pipeline must know how long both live.
    ',{{ with secret "auth/token/lookup-self" }}"token_seconds":{{ .Data.creation_ttl }}{{ end }}'
    "}{{ end }}"
)
