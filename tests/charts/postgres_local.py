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

from sales_pipeline.demo.postgres_server import WHEEL, PostgresServer
from tests.charts.local_pod import LocalPod
from tests.charts.support import of_kind, pod_of, render

SECRETS = {
    "postgres-superuser": {"username": "postgres", "password": "not asked for Sq0"},
    "postgres-owner": {"username": "sales_owner", "password": "o'w\"n:er\\ $HOME `id` # Oq1"},
    "sales-pipeline-database": {"username": "sales_pipeline", "password": ":\\':;--é Pq2\n"},
    "metabase-database": {"username": "meta \"base'", "password": "\\:m\\\\b Mq3 "},
}
"""What quoting, passfiles and shells could stumble over; one ends like a file edited by hand."""
MARKS = ("Sq0", "Oq1", "Pq2", "Mq3")
"""A part of each password that no quoting changes, to look for."""


def login_of(secret: Mapping[str, str]) -> tuple[str, str]:
    """Username and password as clients read them."""
    return secret["username"], secret["password"].rstrip("\n")


def local_pod(
    kind: str,
    name: str,
    root: Path,
    secrets: Mapping[str, Mapping[str, str]] = SECRETS,
    values: Mapping[str, object] | None = None,
    scripts: Mapping[str, str] | None = None,
) -> LocalPod:
    """One container of the chart, ready to run.

    Args:
        kind: What its pod comes from.
        name: The container's.
        root: Where its files go.
        secrets: The logins' Secrets.
        values: What the chart is installed with.
        scripts: Files that take the place of those that were rendered.
    """
    documents = render("postgres", values)
    files = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    files["postgres-scripts"] = files["postgres-scripts"] | (scripts or {})
    files |= {**secrets, "minidata-ca": {"ca.crt": ""}}
    pod = pod_of(documents, kind)
    container = next(c for c in pod.containers if c["name"] == name)
    alone = replace(pod, spec=pod.spec | {"containers": [container]})
    return LocalPod.make(alone, root, files, {})


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


def wheel_programs() -> Path:
    """Where the wheel's psql and initdb are."""
    spec = importlib.util.find_spec(WHEEL)
    assert spec, "sales-pipeline[demo] is not installed"
    assert spec.origin
    return Path(spec.origin).parent / "pginstall/bin"
