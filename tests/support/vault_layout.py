"""A Vault laid out for the pipeline: who may log in, what it may read, logins that are made."""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hvac
import psycopg
from psycopg import sql

from sales_pipeline.demo.services import EmbeddedServices
from tests.support.kubernetes import ACCOUNT, NAMESPACE, REVIEWER, Kubernetes, api_server
from tests.support.platform import Sandbox
from tests.support.services import unique
from tests.support.vault import Vault, running_vault

ROLE = ACCOUNT
LOGINS = f"database/creds/{ROLE}"
POLICY = f"""
path "kv/data/sales/object-store" {{ capabilities = ["read"] }}
path "kv/data/sales/pseudonym" {{ capabilities = ["read"] }}
path "{LOGINS}" {{ capabilities = ["read"] }}
path "database/creds/unknown" {{ capabilities = ["read"] }}
"""
CREATION = """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'
IN ROLE etl_loader"""
REVOCATION = 'DROP ROLE IF EXISTS "{{name}}"'
_GONE_SECONDS = 60


@dataclass(frozen=True)
class LaidOut:
    """A server with the fixed layout, the API server that vouches for tokens, and its logins."""

    vault: Vault
    kubernetes: Kubernetes
    services: EmbeddedServices
    admin: str
    password: str

    @contextlib.contextmanager
    def serving(self, platform: Sandbox) -> Iterator[None]:
        """Its secrets are the platform's, and its logins are to the platform's database."""
        folder = platform.settings.credentials_dir
        with self.vault.root() as root:
            for name in ("object-store", "pseudonym"):
                content = json.loads((folder / name).read_text())
                root.secrets.kv.v2.create_or_update_secret(
                    f"sales/{name}", content, mount_point="kv"
                )
            self._connect(root, platform)
            self.let_live("1h")
            yield
            root.sys.revoke_prefix("database/creds")
            self.await_no_logins()

    def _connect(self, root: hvac.Client, platform: Sandbox) -> None:
        where = f"host={platform.settings.db_host} port={platform.settings.db_port}"
        who = "user={{username}} password={{password}} sslmode=disable"
        root.secrets.database.configure(
            name="sales",
            plugin_name="postgresql-database-plugin",
            allowed_roles=[ROLE],
            connection_url=f"{where} dbname={platform.settings.db_name} {who}",
            username=self.admin,
            password=self.password,
        )

    def let_live(self, ttl: str) -> None:
        """How long logins made from now on live."""
        with self.vault.root() as root:
            root.secrets.database.create_role(
                name=ROLE,
                db_name="sales",
                creation_statements=[CREATION],
                revocation_statements=[REVOCATION],
                default_ttl=ttl,
                max_ttl="24h",
            )

    def tokens(self) -> set[str]:
        """The accessors of all tokens there are."""
        with self.vault.root() as root:
            return set(root.auth.token.list_accessors()["data"]["keys"])

    def logins(self) -> list[str]:
        """The logins that Vault has made and not yet taken away."""
        with psycopg.connect(self.services.postgres.dsn()) as connection:
            found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
            return [name for (name,) in found]

    def await_no_logins(self) -> None:
        """Vault revokes leases behind the answer to whoever has revoked their token."""
        deadline = time.monotonic() + _GONE_SECONDS
        while left := self.logins():
            assert time.monotonic() < deadline, left
            time.sleep(0.02)  # PostgreSQL tells nobody when a role goes, so it must be asked


@contextlib.contextmanager
def laid_out(folder: Path, services: EmbeddedServices) -> Iterator[LaidOut]:
    """A fresh server, whose admin of logins is a role of these services' PostgreSQL."""
    admin, password = unique("vault"), secrets.token_urlsafe(24)
    services.postgres.create_login(admin, password)
    with psycopg.connect(services.postgres.dsn(), autocommit=True) as connection:
        for statement in ("ALTER ROLE {} CREATEROLE", "GRANT etl_loader TO {} WITH ADMIN OPTION"):
            connection.execute(sql.SQL(statement).format(sql.Identifier(admin)))
    with (
        running_vault(folder) as vault,
        api_server(folder / "vault-cert.pem", folder / "vault-key.pem") as kubernetes,
    ):
        with vault.root() as root:
            _configure(root, vault, kubernetes)
        yield LaidOut(vault, kubernetes, services, admin, password)


def _configure(root: hvac.Client, vault: Vault, kubernetes: Kubernetes) -> None:
    root.sys.enable_auth_method("kubernetes")
    root.auth.kubernetes.configure(
        kubernetes_host=kubernetes.host,
        kubernetes_ca_cert=vault.ca_file.read_text(),
        token_reviewer_jwt=REVIEWER,
    )
    root.sys.create_or_update_policy(ROLE, POLICY)
    root.auth.kubernetes.create_role(
        ROLE,
        bound_service_account_names=[ACCOUNT],
        bound_service_account_namespaces=[NAMESPACE],
        policies=[ROLE],
        audience="vault",
        ttl="1h",
    )
    root.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})
    root.sys.enable_secrets_engine("database")
