"""A cache, and programs, of a test's own."""

import pytest

from tests.cluster.fake_program import FakePrograms

VARIABLES = ("MINIDATA_BUILD_IMAGE", "MINIDATA_CLUSTER", "MINIDATA_REGISTRY")


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache, and nothing else that the environment says."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINIDATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Fake programs, found before all others."""
    made = FakePrograms(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return made
