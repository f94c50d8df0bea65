"""Servers that go away in the middle of a load come back by themselves, and no row is lost."""

import pytest

from tests.e2e.arriving import PATIENT, have_been_loaded
from tests.e2e.ingests import Ingest, large_file, until
from tests.e2e.vaulted import dynamic_logins

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FILES, ROWS = 3, 100_000
"""Enough for a run that is still at work when the first of its servers is back."""
SECONDS = 240
TOLD_BY_VAULT = {"minio-0", "postgres-0"}
"""Pods that have their secrets from Vault, by an agent in front of them."""


@pytest.fixture(scope="module")
def installation(vaulted):
    """The platform with Vault, in place of the one without."""
    return vaulted


@pytest.mark.parametrize(
    ("seed", "pods"),
    [
        (200, ["vault-0"]),
        (210, ["minio-0"]),
        (220, ["postgres-0"]),
        (230, ["vault-0", "postgres-0"]),
    ],
    ids=str,
)
def test_a_load_outlives_the_restart_of(installation, seed, pods):
    ingest = Ingest(installation, f"while-{'-and-'.join(pods)}-restarts")
    files = {f"{n}.csv": large_file(seed + n, ROWS) for n in range(FILES)}
    ingest.put(files)
    ingest.apply(retry=PATIENT)
    ingest.until_reading()
    installation.namespace.kubectl("delete", "pod", *pods, timeout=120)
    have_been_loaded(ingest, dict.fromkeys(files, ROWS))
    assert [pod for pod in pods if pod in TOLD_BY_VAULT and not was_told(installation, pod)] == []
    until(lambda: not dynamic_logins(installation), SECONDS)


def was_told(installation, pod):
    """Whether an agent has brought this pod its secrets from Vault."""
    agent, *_ = installation.namespace.get("pod", pod)["status"]["initContainerStatuses"]
    return agent["name"] == "vault-agent" and agent["state"]["terminated"]["exitCode"] == 0
