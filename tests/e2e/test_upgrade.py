"""An installation of an earlier commit: it is upgraded with its data, and leaves them behind."""

import io
import subprocess
import tarfile
from dataclasses import replace

import pytest

from tests.docs.pages import ROOT
from tests.e2e.ingests import Ingest, sales_of
from tests.e2e.installation import Installation
from tests.e2e.kube import Namespace
from tests.e2e.standing import standing
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EARLIER = "8365cd387d5b"
"""The last commit before servers took up renewed certificates by themselves."""
CHARTS = ("operator", "minio", "postgres")
CLAIMS = {"data-minio-0", "data-postgres-0"}


@pytest.fixture(scope="module")
def earlier_charts(tmp_path_factory):
    """The charts as they were."""
    packed = subprocess.run(
        ["git", "archive", EARLIER, "charts"], cwd=ROOT, capture_output=True, check=False
    )
    if packed.returncode:
        pytest.skip(f"this checkout has no commit {EARLIER}: {packed.stderr.decode()}")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "charts"


@pytest.fixture(scope="module")
def installation(cluster, earlier_charts, tmp_path_factory):
    """In place of the one that all others share: one that begins with the charts of then."""
    folder = tmp_path_factory.mktemp("upgrade-certs")
    with standing(Installation, "minidata-e2e-upgrade", folder, earlier_charts) as made:
        yield made


@pytest.fixture(scope="module")
def ingest(installation):
    """One with a file loaded."""
    made = Ingest.make(installation, "before")
    deliver(made, "first.csv", range(10))
    made.until_done(1)
    return made


def deliver(ingest, name, numbers):
    ingest.put({name: as_csv(sales_of(ingest.name, numbers))})


def with_charts_of_now(installation):
    return replace(installation, namespace=Namespace(installation.namespace.name))


def claims(namespace):
    """Each claim, and which it is: one that was made anew has another uid."""
    found = namespace.get("persistentvolumeclaims")["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


def test_upgrade_keeps_all_data_and_goes_on_loading(installation, ingest):
    before = claims(installation.namespace)
    assert before.keys() == CLAIMS
    with_charts_of_now(installation).install()
    assert claims(installation.namespace) == before
    assert ingest.facts() == 10
    deliver(ingest, "second.csv", range(10, 15))
    ingest.until_done(2)
    assert ingest.facts() == 15


def test_uninstall_keeps_volumes_secrets_and_the_definition(installation, ingest):
    namespace = installation.namespace
    kept, secrets = claims(namespace), namespace.kubectl("get", "secrets", "--output=name")
    for chart in CHARTS:
        namespace.uninstall(chart)
    assert namespace.get("statefulsets,deployments")["items"] == []
    assert claims(namespace) == kept
    left = namespace.kubectl("get", "secrets", "--output=name").split()
    assert {one for one in secrets.split() if "helm.release" not in one} <= set(left)
    assert namespace.get("si", ingest.name)["status"]["rows"]["loaded"] == 15
    with_charts_of_now(installation).install()
    assert ingest.facts() == 15
