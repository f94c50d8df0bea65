"""The whole thread without a key: runs show the object store who they are."""

import json

import pytest

from sales_pipeline.errors import ConfigurationError
from tests.e2e.ingests import Ingest, sales_of
from tests.e2e.keyless import ACCOUNT, Keyless
from tests.e2e.standing import standing
from tests.support.sales_file import as_csv

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installation(cluster, tmp_path_factory):
    """The platform without a user of the pipeline."""
    with standing(Keyless, "minidata-e2e-keyless", tmp_path_factory.mktemp("certs")) as made:
        yield made
        # The one thing of it that does not go with its namespace.
        binding = f"minio-{made.namespace.name}-discovery"
        made.namespace.kubectl("delete", "clusterrolebinding", binding)


@pytest.fixture(scope="module")
def loaded(installation):
    """An ingest whose file is loaded."""
    ingest = Ingest.make(installation, "keyless")
    ingest.put({"sales.csv": as_csv(sales_of(ingest.name, range(10)))})
    ingest.until_done(1)
    return ingest


def test_a_file_becomes_rows_without_any_key(loaded):
    assert loaded.facts() == 10
    assert loaded.keys("raw") == []


def test_the_pod_of_a_run_has_its_token_and_no_key(installation, loaded):
    (pod,) = loaded.pods()
    text = json.dumps(pod["spec"])
    assert "object-store-token" in text
    assert "access_key" not in text
    mounted = {v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v}
    assert mounted == {"sales-pipeline-database", "sales-pipeline-pseudonym"}
    kept = [one["metadata"]["name"] for one in installation.namespace.get("secrets")["items"]]
    assert "sales-pipeline-object-store" not in kept


def test_the_account_of_runs_may_do_what_runs_do(installation, loaded, tmp_path):
    with installation.bucket(ACCOUNT, tmp_path) as bucket:
        assert list(bucket.list(loaded.prefix)) == []


@pytest.mark.parametrize(
    ("account", "audience", "code"),
    [
        ("default", "minio", "bucket.denied"),
        ("minio", "minio", "bucket.denied"),
        (ACCOUNT, "vault", "identity.refused"),
    ],
)
def test_nobody_else_is_let_in(installation, loaded, tmp_path, account, audience, code):
    with (
        installation.bucket(account, tmp_path, audience) as bucket,
        pytest.raises(ConfigurationError) as refused,
    ):
        list(bucket.list(loaded.prefix))
    assert refused.value.code == code
