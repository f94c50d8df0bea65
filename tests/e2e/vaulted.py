"""The platform with its secrets in Vault: no Secret has any of them, and runs read Vault itself."""

import base64
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import hvac
import yaml

from cluster.pins import OPENBAO_IMAGE
from tests.e2e.installation import (
    CRD,
    KEY_BYTES,
    OPERATOR,
    SUPPLIER,
    Installation,
    certificates,
    frugal,
    restricted,
    webhook,
)
from tests.e2e.kube import Manifest, Namespace

VAULT = {
    "image": dict(
        zip(("repository", "tag"), OPENBAO_IMAGE.split("/", 1)[1].split(":"), strict=True)
    ),
    "distribution": "openbao",
    # Its image can't be had everywhere; runs that read Vault themselves do without.
    "injector": {"enabled": False},
    # Unsealed by a key in a file: a restart needs no hands.
    "seal": {
        "type": "static",
        "settings": {"current_key_id": "1", "current_key": "file:///vault/seal/key"},
        "existingSecret": "vault-seal",
    },
    # A plain Job, whose log stays.
    "setup": {"mode": "selfInit", "hook": False},
    "secrets": {"minio/server": {"root_user": {"value": "root-of-e2e"}}},
    "persistence": {"size": "1Gi"},
    "resources": frugal("1Gi"),
}
FROM_VAULT = {"vault": {"enabled": True, "resources": frugal("128Mi")}}
READERS = {
    "minio": {
        "root": "minio/server root_password",
        "kms": "minio/server kms_key",
        "sales-pipeline": "sales/object-store secret_key",
        "sales-operator": "sales/operator-object-store secret_key",
        "events": "sales/operator-events token",
    },
    "postgres": {
        "postgres": "postgres/superuser password",
        "sales_owner": "postgres/owner password",
        "metabase": "postgres/metabase password",
    },
    "sales-pipeline": {"pseudonym": "sales/pseudonym key"},
}
"""Service account -> what it may read: the name of it here, its path and field."""
_SEEN = "pods,jobs,cronjobs,statefulsets,deployments,configmaps,events,services,salesingests,leases"
_DYNAMIC = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'"


@dataclass(frozen=True)
class Vaulted(Installation):
    """A running platform; `passwords` has all that Vault has made."""

    @classmethod
    def make(cls, namespace: Namespace, folder: Path) -> Self:
        """Vault first, then whoever reads it, then logins to the warehouse that is there now."""
        namespace.apply(yaml.safe_load(CRD.read_text("utf-8")))
        namespace.apply(restricted(namespace.name))
        certificates(namespace, folder)
        made = cls(namespace, folder / "ca.crt", {}, b"")
        keys = {"access_key": "sales-supplier", "secret_key": made._password("sales-supplier")}
        namespace.secret("sales-supplier-object-store", **keys)
        namespace.apply(seal_key())
        namespace.install("vault", VAULT)
        charts = _charts(namespace.name)
        with ThreadPoolExecutor() as side_by_side:
            list(side_by_side.map(namespace.install, charts, charts.values()))
        namespace.install("vault", VAULT | {"database": {"enabled": True}})
        made.read_again()
        return made

    def read_again(self) -> None:
        """Have the passwords be what Vault holds now."""
        for account, wanted in READERS.items():
            with self.vault(account, account) as vault:
                for name, place in wanted.items():
                    path, _, field = place.partition(" ")
                    found = vault.secrets.kv.v2.read_secret_version(
                        path, mount_point="kv", raise_on_deleted_version=True
                    )
                    self.passwords[name] = found["data"]["data"][field]

    @contextmanager
    def vault(self, account: str, role: str, audience: str = "vault") -> Iterator[hvac.Client]:
        """Vault, as whoever has a service account's token of this audience.

        Raises:
            hvac.exceptions.VaultError: It does not let that account in as this role.
        """
        asked = ("create", "token", account, f"--audience={audience}", "--duration=10m")
        token = self.namespace.kubectl(*asked).strip()
        with self.vault_unknown() as client:
            client.auth.kubernetes.login(role=role, jwt=token)
            yield client

    @contextmanager
    def vault_unknown(self) -> Iterator[hvac.Client]:
        """Vault, as nobody."""
        with self.namespace.forward("service/vault", 8200) as port:
            client = hvac.Client(f"https://localhost:{port}", token="", verify=str(self.ca))
            with closing(client.adapter):
                yield client


def seen_by_others(namespace: Namespace) -> str:
    """All that somebody sees who may read whatever there is but Secrets."""
    pods = namespace.kubectl("get", "pods", "--output=name").split()
    return "".join([namespace.kubectl("get", _SEEN, "--output=yaml"), *map(namespace.logs, pods)])


def dynamic_logins(installation: Installation) -> list[str]:
    """Those that Vault has made for the warehouse, and that are there now."""
    with installation.database("metabase") as connection:
        return [name for (name,) in connection.execute(_DYNAMIC).fetchall()]


def seal_key() -> Manifest:
    """What opens Vault; of bytes, not of text."""
    data = {"key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vault-seal"}, "data": data}


def _charts(namespace: str) -> dict[str, dict[str, Any]]:
    small = {"persistence": {"size": "1Gi"}, "resources": frugal("1Gi")} | FROM_VAULT
    minio = small | SUPPLIER | {"webhook": webhook(namespace)}
    postgres = small | {"vaultAdmin": {"enabled": True}}
    operator = OPERATOR | FROM_VAULT | {"credentials": {"mode": "direct"}}
    return {"minio": minio, "postgres": postgres, "operator": operator}
