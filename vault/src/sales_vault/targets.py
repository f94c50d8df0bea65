"""The plan in Vault's own words: paths, and the documents that shall be there. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from sales_vault.wanted import (
    Connection,
    Database,
    DatabaseRole,
    KeyValue,
    Kubernetes,
    Plan,
    Role,
    SecretFields,
)

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """A document that shall be at a path."""

    what: str
    """Its name in logs and messages."""
    path: str
    document: Document
    unread: Document = field(default_factory=dict, repr=False)
    """What goes along when it is written, and can't be read back."""
    fixed: bool = False
    """Whether Vault can only make it, not change it."""
    if_refused: str = ""
    """How to mend it where Vault will not have it; none: as every refusal is."""


@dataclass(frozen=True)
class SecretTarget:
    """A secret that shall be there, with whatever content."""

    what: str
    path: str
    """Where its metadata is read."""
    data_path: str
    fields: SecretFields


@dataclass(frozen=True)
class LoginPaths:
    """Where a secret's content is, and what is kept about it."""

    data: str
    metadata: str


@dataclass(frozen=True)
class ConnectionTarget:
    """A connection of the database engine, with the secret that has its first login."""

    what: str
    path: str
    document: Document
    login: LoginPaths
    rotate_path: str | None
    """Where a new password is asked for; none if the login stays as it is."""


AnyTarget = Target | SecretTarget | ConnectionTarget


def gate(plan: Plan) -> list[AnyTarget]:
    """What the setup role needs to log in and to do the rest."""
    return [*_kubernetes(plan.kubernetes), *_policies(plan), *_roles(plan)]


def rest(plan: Plan) -> list[AnyTarget]:
    """All the others; the database last, since PostgreSQL may want secrets before it starts."""
    return [
        *_audit(plan),
        *(_key_value(plan.kv) if plan.kv else ()),
        *(_database(plan.database, plan.kv) if plan.database and plan.kv else ()),
    ]


def policy_text(rules: Mapping[str, Sequence[str]]) -> str:
    """A policy as people write it."""
    return "\n".join(
        f'path "{path}" {{\n  capabilities = {json.dumps(words)}\n}}'
        for path, words in rules.items()
    )


def _mount(kind: str, mount: str, type_: str, **more: Any) -> Target:
    document = {"type": type_, **more}
    return Target(f"{type_} at {mount}", f"sys/{kind}/{mount}", document, fixed=True)


def _kubernetes(wanted: Kubernetes) -> Iterator[AnyTarget]:
    yield _mount("auth", wanted.mount, "kubernetes")
    document = {"kubernetes_host": wanted.host}
    if wanted.ca:
        document["kubernetes_ca_cert"] = wanted.ca
    token = wanted.reviewer_token
    unread = {"token_reviewer_jwt": token.get_secret_value()} if token else {}
    yield Target(
        f"configuration of {wanted.mount}", f"auth/{wanted.mount}/config", document, unread
    )


def _policies(plan: Plan) -> Iterator[AnyTarget]:
    for name, rules in plan.policies.items():
        document = {"policy": policy_text(rules)}
        yield Target(f"policy {name}", f"sys/policies/acl/{name}", document)


def _roles(plan: Plan) -> Iterator[AnyTarget]:
    for name, role in plan.roles.items():
        path = f"auth/{plan.kubernetes.mount}/role/{name}"
        yield Target(f"role {name}", path, _role(name, role))


def _role(name: str, role: Role) -> Document:
    return {
        "bound_service_account_names": role.service_accounts or [name],
        "bound_service_account_namespaces": role.namespaces,
        "audience": role.audience,
        "alias_name_source": "serviceaccount_name",
        "token_policies": sorted(role.policies or [name]),  # as Vault keeps them
        "token_ttl": role.ttl,
        "token_max_ttl": role.max_ttl or role.ttl,
    }


def _audit(plan: Plan) -> Iterator[AnyTarget]:
    for name, device in plan.audit.items():
        document = {"type": device.type, "options": device.options}
        yield Target(
            f"audit device {name}",
            f"sys/audit/{name}",
            document,
            fixed=True,
            if_refused="OpenBao takes audit devices from its own configuration only: declare it"
            " there under this name. Else let the setup role write the path.",
        )


def _key_value(kv: KeyValue) -> Iterator[AnyTarget]:
    yield _mount("mounts", kv.mount, "kv", options={"version": "2"})
    for path, fields in kv.generate.items():
        where = _secret(kv, path)
        yield SecretTarget(f"secret {kv.mount}/{path}", where.metadata, where.data, fields)


def _secret(kv: KeyValue, path: str) -> LoginPaths:
    return LoginPaths(f"{kv.mount}/data/{path}", f"{kv.mount}/metadata/{path}")


def _database(database: Database, kv: KeyValue) -> Iterator[AnyTarget]:
    mount = database.mount
    yield _mount("mounts", mount, "database")
    for name, connection in database.connections.items():
        users = sorted(n for n, role in database.roles.items() if role.connection == name)
        yield ConnectionTarget(
            f"database connection {name}",
            f"{mount}/config/{name}",
            _connection(connection, users),
            _secret(kv, connection.login),
            f"{mount}/rotate-root/{name}" if connection.rotate_login else None,
        )
    for name, role in database.roles.items():
        yield Target(f"database role {name}", f"{mount}/roles/{name}", _database_role(role))


def _connection(connection: Connection, users: list[str]) -> Document:
    return {
        "plugin_name": "postgresql-database-plugin",
        "allowed_roles": users,
        "connection_url": _url(connection),
        # The engine sends verifiers only: no password in a statement, nor in PostgreSQL's log.
        "password_authentication": "scram-sha-256",
    }


def _url(connection: Connection) -> str:
    options: dict[str, str] = {"sslmode": connection.sslmode}
    if connection.ca_file:
        options["sslrootcert"] = connection.ca_file
    authority = f"{connection.host}:{connection.port}"
    if connection.host.startswith("/"):
        authority, options["host"] = "", connection.host
    database = quote(connection.database, safe="")
    return f"postgresql://{{{{username}}}}:{{{{password}}}}@{authority}/{database}?" + urlencode(
        options, safe="/"
    )


def _database_role(role: DatabaseRole) -> Document:
    return {
        "db_name": role.connection,
        "creation_statements": role.creation,
        "revocation_statements": role.revocation,
        "default_ttl": role.ttl,
        "max_ttl": role.max_ttl or role.ttl,
    }
