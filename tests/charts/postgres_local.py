"""Runs the scripts of `charts/postgres` against a server from a wheel, as its pods would.

That server speaks no TLS and asks its superuser for no password, so both are left to the tests on a
cluster; everything else is the pods' own: command, files and environment.
"""

import importlib.util
import os
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from sales_pipeline.demo.postgres_server import WHEEL, PostgresServer
from tests.charts.local_pod import Files, LocalPod
from tests.charts.support import of_kind, pod_of, render
from tests.charts.vault_agent import PlannedVault
from tests.support.command import Ended, command

SECRETS = {
    "postgres-superuser": {"username": "postgres", "password": "not asked for Sq0"},
    "postgres-owner": {"username": "sales_owner", "password": "o'w\"n:er\\ $HOME `id` # Oq1"},
    "sales-pipeline-database": {"username": "sales_pipeline", "password": ":\\':;--é Pq2\n"},
    "metabase-database": {"username": "meta \"base'", "password": "\\:m\\\\b Mq3 "},
}
"""What quoting, passfiles and shells could stumble over; one ends like a file edited by hand."""
STATE = {
    "roles": """
        SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolconnlimit
        FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1""",
    "members": """
        SELECT pg_get_userbyid(member), pg_get_userbyid(roleid), pg_get_userbyid(grantor),
            admin_option, inherit_option, set_option
        FROM pg_auth_members WHERE grantor <> 10 OR member::regrole::text !~ '^pg_'
        ORDER BY 1, 2, 3""",
    "databases": """
        SELECT datname, pg_get_userbyid(datdba), datacl::text FROM pg_database ORDER BY 1""",
    "settings": "SELECT setconfig::text FROM pg_db_role_setting ORDER BY 1",
}
MARKS = ("Sq0", "Oq1", "Pq2", "Mq3")
"""A part of each password that no quoting changes, to look for."""


def login_of(secret: Mapping[str, str]) -> tuple[str, str]:
    """Username and password as clients read them."""
    return secret["username"], secret["password"].rstrip("\n")


def local_pod(
    kind: str,
    name: str,
    root: Path,
    secrets: Files | PlannedVault = SECRETS,
    values: Mapping[str, object] | None = None,
    scripts: Mapping[str, str] | None = None,
) -> LocalPod:
    """One container of the chart, ready to run.

    Args:
        kind: What its pod comes from.
        name: The container's.
        root: Where its files go.
        secrets: The logins' Secrets, or the Vault that the pod's agent asks instead.
        values: What the chart is installed with.
        scripts: Files that take the place of those that were rendered.
    """
    documents = render("postgres", values)
    files = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    files["postgres-scripts"] = files["postgres-scripts"] | (scripts or {})
    files["minidata-ca"] = {"ca.crt": ""}
    if not isinstance(secrets, PlannedVault):
        files |= secrets
    pod = pod_of(documents, kind)
    container = next(c for c in pod.containers if c["name"] == name)
    alone = replace(pod, spec=pod.spec | {"containers": [container]})
    made = LocalPod.make(alone, root, files, {})
    if isinstance(secrets, PlannedVault):
        ended = secrets.run_agent(pod, root, files)
        assert ended.returncode == 0, ended.stderr
    return made


@dataclass(frozen=True)
class LocalChart:
    """The chart on a server of this machine."""

    server: PostgresServer
    folder: Path

    def pod(self, name: str, *args, **kwargs) -> LocalPod:
        """A container of the bootstrap; takes what `local_pod` takes after the root."""
        return local_pod("Job", name, self.folder, *args, **kwargs)

    def bootstrap(self, *args, **kwargs) -> subprocess.CompletedProcess[str]:
        """Make the roles; takes what `local_pod` takes after the root."""
        pod = self.pod("roles", *args, **kwargs)
        return self.run(pod, *pod.argv)

    def migrate(self, *args, **kwargs) -> Ended:
        """Run the migrations; takes what `local_pod` takes after the root."""
        pod = self.pod("migrate", *args, **kwargs)
        here = {
            "SALES_DB_HOST": self.server.host,
            "SALES_DB_SSLMODE": "disable",
            "SALES_CREDENTIALS_DIR": f"{pod.root}{pod.environ['SALES_CREDENTIALS_DIR']}",
        }
        return command(*pod.container["args"], environ=pod.environ | here)

    def run(self, pod: LocalPod, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program where a container's files and environment are."""
        return subprocess.run(
            argv,
            env=pod.environ | self.here | {"PATH": f"{wheel_programs()}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def here(self) -> dict[str, str]:
        """Where the server is, instead of behind TLS."""
        return {"PGHOST": self.server.host, "PGSSLMODE": "disable", "WAIT_SECONDS": "0"}

    def connect(self, user: str, password: str | None = None, dbname: str = "sales"):
        """A connection with whatever this login has on its search path."""
        return psycopg.connect(self.server.dsn(dbname, user, password), autocommit=True)

    def query(self, statement: str, dbname: str = "postgres") -> list[tuple]:
        """What the superuser sees."""
        with closing(self.connect("postgres", dbname=dbname)) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        """All that the server has written so far."""
        return self.server._program.log.read_text("utf-8", errors="replace")


def refusal(chart: LocalChart, user: str, password: str, dbname: str = "sales") -> str:
    """The words in which a login is not let in."""
    with pytest.raises(psycopg.OperationalError) as refused:
        chart.connect(user, password, dbname)
    return str(refused.value)


def state(chart: LocalChart) -> dict[str, list[tuple]]:
    """Who there is, and what of the server is whose."""
    return {what: chart.query(query) for what, query in STATE.items()}


def wheel_programs() -> Path:
    """Where the wheel's psql and initdb are."""
    spec = importlib.util.find_spec(WHEEL)
    assert spec, "sales-pipeline[demo] is not installed"
    assert spec.origin
    return Path(spec.origin).parent / "pginstall/bin"
