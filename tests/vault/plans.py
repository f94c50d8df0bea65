"""Plans: the one that PLAN.md shows, and a small one for tests that run it often."""

import copy
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from sales_vault.waiting import until
from tests.support.services import Database

PAGE = Path(__file__).parents[2] / "vault/PLAN.md"
LOADERS = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'etl_loader') THEN
            CREATE ROLE etl_loader NOLOGIN;
        END IF;
    END $$;
"""


def _block(language: str) -> str:
    text = PAGE.read_text("utf-8")
    (block,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return block


def example() -> dict[str, Any]:
    """The plan of this platform."""
    return yaml.safe_load(_block("yaml"))


def with_database(plan: dict[str, Any], database: Database) -> dict[str, Any]:
    """A plan whose connection leads to a server of the tests, by its socket, without TLS."""
    changed = copy.deepcopy(plan)
    connection = changed["database"]["connections"]["sales"]
    del connection["caFile"]
    connection |= {"host": database.host, "database": database.name, "sslmode": "disable"}
    return changed


def without_database(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan for those who have no PostgreSQL."""
    return {name: part for name, part in plan.items() if name != "database"}


def small(database: Database, admin: str, password: str) -> dict[str, Any]:
    """One of everything, with a login that is known beforehand."""
    plan = with_database(example(), database)
    for part in ("policies", "roles"):
        plan[part] = {name: plan[part][name] for name in ("sales-pipeline", "vault-setup")}
    login = {"username": {"value": admin}, "password": {"value": password}}
    pseudonym = plan["kv"]["generate"]["sales/pseudonym"]
    plan["kv"]["generate"] = {"postgres/vault-admin": login, "sales/pseudonym": pseudonym}
    return plan


def make_admin(database: Database, admin: str, password: str) -> None:
    """What charts/postgres does for Vault, as the page says it."""
    role = sql.Identifier(admin)
    makes = sql.SQL(_block("postgresql").replace("vault_admin", "{role}")).format(role=role)
    with closing(psycopg.connect(database.dsn(), autocommit=True)) as connection:
        connection.execute(LOADERS)
        connection.execute(makes)
    set_password(database, admin, password)


def set_password(database: Database, role: str, password: str) -> None:
    """Give a login a password."""
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
    with closing(psycopg.connect(database.dsn(), autocommit=True)) as connection:
        connection.execute(statement.format(sql.Identifier(role), sql.Literal(password)))


def drop_admin(database: Database, admin: str) -> None:
    """Undo that; what it made goes too, unless Vault is just about to take it away itself."""
    assert until(lambda: _is_dropped(database, admin), 20)


def _is_dropped(database: Database, admin: str) -> bool:
    query = """
        SELECT roleid::regrole::text FROM pg_auth_members
        WHERE grantor = %s::regrole AND roleid <> 'etl_loader'::regrole
    """
    with closing(psycopg.connect(database.dsn(), autocommit=True)) as connection:
        try:
            for (name,) in connection.execute(query, [admin]).fetchall():
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.SQL(name)))
            role = sql.Identifier(admin)
            connection.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))
        except psycopg.Error:
            return False
    return True
