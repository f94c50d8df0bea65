"""TLS to the object store: the certificate is checked, and a wrong one is a clear error."""

import json
import shutil
from contextlib import closing

import pytest

from sales_api.report import ExitCode
from sales_pipeline.demo.s3_server import S3Server
from tests.support.command import command
from tests.support.sales_file import as_csv, sales
from tests.support.services import make_certificates, unique

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, certificates):
    made = certificates
    folder = tmp_path_factory.mktemp("tls")
    with S3Server.start(folder, made.certificate, made.key, made.authority) as running:
        yield running


@pytest.fixture
def environ(platform, server, certificates, tmp_path):
    """The environment of a run whose object store speaks TLS, with one object waiting there."""
    folder = shutil.copytree(platform.settings.credentials_dir, tmp_path / "credentials")
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    (folder / "object-store").write_text(json.dumps(keys))
    bucket = unique("tls").replace("_", "-")
    server.create_bucket(bucket)
    with closing(server.client()) as client:
        client.put_object(Bucket=bucket, Key="raw/a.csv", Body=as_csv(sales(range(4))))
    return platform.environ(
        platform.request(source={"bucket": bucket}),
        credentials_dir=folder,
        s3_endpoint=server.endpoint,
        s3_ca_file=certificates.authority,
    )


def test_known_authority(platform, environ):
    """With the right CA file the object loads."""
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.DONE
    assert platform.value("SELECT count(*) FROM fact_sales") == 4


@pytest.mark.parametrize("kind", ["none", "another", "missing", "no certificate"])
def test_unknown_authority(platform, environ, tmp_path, kind):
    """Without it, or with another, nothing is sent, and the message names the setting."""
    if kind == "none":
        del environ["SALES_S3_CA_FILE"]
    elif kind == "another":
        environ["SALES_S3_CA_FILE"] = str(make_certificates(tmp_path).authority)
    else:
        file = tmp_path / "ca.pem"
        if kind == "no certificate":
            file.write_text("nothing")
        environ["SALES_S3_CA_FILE"] = str(file)
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.CONFIGURATION
    assert "[bucket.tls]" in ended.last_words
    assert "SALES_S3_CA_FILE" in ended.last_words
    assert platform.ledger("key") == []


def test_plain_text(platform, environ):
    """Plain HTTP to a port that speaks TLS is no way in."""
    environ["SALES_S3_ENDPOINT"] = environ["SALES_S3_ENDPOINT"].replace("https://", "http://")
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.TEMPORARY
    assert "[bucket.unreachable]" in ended.last_words
    assert platform.ledger("key") == []
