"""How `charts/postgres` makes the data directory: whole, once, and never over another."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.charts.postgres_local import MARKS, local_pod

INITDB = """\
#!/bin/sh
for word; do case $word in --pgdata=*) data=${word#--pgdata=} ;; esac; done
echo "$*" >>"${0%/*}/calls"
mkdir "$data" && echo 18 >"$data/PG_VERSION"
[ -e "${0%/*}/cut-off" ] && exit 1
touch "$data/complete"
"""
"""Stands in for the program: PG_VERSION comes first, as with the real one."""


class Start:
    """A start of the pod, as often as one likes."""

    def __init__(self, folder):
        self.programs = folder / "programs"
        self.programs.mkdir()
        (self.programs / "initdb").write_text(INITDB, "utf-8")
        (self.programs / "initdb").chmod(0o755)
        self.pod = local_pod("StatefulSet", "initdb", folder / "root")
        self.data = Path(self.pod.environ["PGDATA"])
        self.volume = self.data.parents[1]

    def __call__(self):
        environ = self.pod.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.run(
            self.pod.argv, env=environ, capture_output=True, text=True, timeout=30, check=False
        )

    @property
    def calls(self):
        calls = self.programs / "calls"
        return calls.read_text("utf-8").splitlines() if calls.exists() else []


@pytest.fixture
def start(tmp_path):
    return Start(tmp_path)


def test_data_is_made_once(start):
    first, second = start(), start()
    assert (first.returncode, second.returncode, len(start.calls)) == (0, 0, 1)
    assert (start.data / "complete").exists()
    assert [path.name for path in start.data.parent.iterdir()] == ["docker"]


def test_a_start_that_was_cut_off_is_done_again(start):
    """What it left is no database yet, so neither a server nor the next start takes it for one."""
    cut_off = start.programs / "cut-off"
    cut_off.touch()
    assert start().returncode != 0
    assert not start.data.exists()
    cut_off.unlink()
    assert start().returncode == 0
    assert (start.data / "complete").exists()


@pytest.mark.parametrize("place", ["PG_VERSION", "data/PG_VERSION", "17/docker/PG_VERSION"])
def test_data_of_another_version_is_not_covered_by_an_empty_database(start, place):
    other = start.volume / place
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("17")
    refused = start()
    assert refused.returncode != 0
    assert f"{other}: data of another version" in refused.stderr
    assert start.calls == []


def test_password_goes_by_file(start):
    done = start()
    (call,) = start.calls
    assert "--username=postgres" in call
    assert f"--pwfile={start.pod.environ['SUPERUSER_DIR']}/password" in call
    assert [mark for mark in MARKS if mark in call + done.stdout + done.stderr] == []
