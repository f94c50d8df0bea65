"""kubectl and helm that answer as they are told, and what they were called with."""

import pytest

from deploy.door import Door
from deploy.place import Place
from tests.cluster.fake_program import FakePrograms

PLACE = Place("kind-trial", "trial", "t")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Fake programs, which are found before all others, and a cache with none."""
    made = FakePrograms(tmp_path / "programs")
    for name in ("kubectl", "helm"):
        made.add(name)
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path / "cache"))
    return made


@pytest.fixture
def door(programs):
    """To a cluster that those programs play."""
    return Door(PLACE)
