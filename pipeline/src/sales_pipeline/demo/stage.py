"""Where the demo takes place: a folder and two servers that are gone after it, however it ends."""

import importlib.util
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sales_pipeline.demo.account import UNPRIVILEGED, reachable, server_account
from sales_pipeline.demo.interrupts import held_back
from sales_pipeline.demo.postgres_server import SUPERUSER, WHEEL
from sales_pipeline.demo.services import EmbeddedServices
from sales_pipeline.errors import ConfigurationError


@dataclass(frozen=True)
class Stage:
    """The running servers and the demo's folder."""

    services: EmbeddedServices
    folder: Path

    @property
    def credentials(self) -> Path:
        """Where the platform's credential files go."""
        return self.folder / "credentials"

    @property
    def objects(self) -> Path:
        """Where the bucket's objects are copied to, if they are kept."""
        return self.folder / "objects"


@contextmanager
def stage(keep: Path | None) -> Iterator[Stage]:
    """Both servers; after the block they are stopped, and the folder is removed unless it is kept.

    Args:
        keep: A new or empty folder that stays; none means a temporary one.

    Raises:
        ConfigurationError: The folder cannot be used, or a wheel is missing.
        TemporaryError: A server did not become ready.
    """
    with ExitStack() as opened:
        try:
            with held_back():
                folder = _kept(keep) if keep else _temporary(opened)
                servers = EmbeddedServices.start(_servers(folder))
                services = opened.enter_context(servers)
            yield Stage(services, folder)
        finally:
            with held_back():
                opened.close()


def copy_objects(place: Stage, bucket: str) -> None:
    """Copy all objects of the bucket to files, to be looked at without a server."""
    with closing(place.services.s3.client()) as client:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", []):
                target = place.objects / entry["Key"]
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(bucket, entry["Key"], str(target))


def commands(folder: Path, database: str) -> tuple[str, ...]:
    """How the kept database is served again, asked, and stopped."""
    data = _servers(folder.resolve()) / "postgres"
    control = [*_as_account(), _program("pg_ctl"), "-D", str(data)]
    look = [_program("psql"), "-h", str(data), "-U", SUPERUSER, "-d", database]
    return (
        shlex.join([*control, "-o", f"-k {shlex.quote(str(data))}", "-l", f"{data}/log", "start"]),
        shlex.join([*look, "-c", "TABLE sales.ingest_object"]),
        shlex.join([*control, "stop"]),
    )


def _program(name: str) -> str:
    spec = importlib.util.find_spec(WHEEL)
    home = Path(spec.origin).parent if spec and spec.origin else Path()
    return str(home / "pginstall" / "bin" / name)


def _as_account() -> tuple[str, ...]:
    """PostgreSQL refuses to run as root, when it is served again as well."""
    return ("runuser", "-u", UNPRIVILEGED, "--") if server_account() else ()


def _servers(folder: Path) -> Path:
    return folder / "servers"


def _temporary(opened: ExitStack) -> Path:
    return Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="sales-demo-")))


def _kept(keep: Path) -> Path:
    folder = keep.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = next(folder.iterdir(), None) is None
    except OSError as error:
        what = f"the folder cannot be made ({type(error).__name__})"
        raise _unusable(what, folder, "Name one that can be written to.") from None
    if not empty:
        raise _unusable("the folder is not empty", folder, "Name a new one.")
    if not reachable(folder / "any", server_account()):
        what = f"PostgreSQL, which runs as {UNPRIVILEGED} here, cannot get at the folder"
        raise _unusable(what, folder, "Name one that everybody may walk to, such as below /srv.")
    return folder


def _unusable(what: str, folder: Path, mend: str) -> ConfigurationError:
    return ConfigurationError(what, where=str(folder), mend=mend, code="demo.keep")
