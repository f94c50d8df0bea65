"""Runs without keys: the object store takes the token of their service account, and no other."""

import shutil
import subprocess
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from sales_api.report import ExitCode
from sales_pipeline.bucket import Bucket
from sales_pipeline.credentials import load_object_store_login
from sales_pipeline.errors import ConfigurationError
from sales_pipeline.settings import Settings
from tests.charts.minio_cluster import SERVER, root_keys
from tests.charts.minio_identity import AUDIENCE, ROLE, RUN, STRANGER, IdentityCluster
from tests.charts.support import program
from tests.support.command import command
from tests.support.issuer import forged, running_issuer
from tests.support.sales_file import as_csv, sales

pytestmark = pytest.mark.integration

NOBODY = "arn:minio:iam:::role/AAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store that knows no keys but those of its root and of the operator."""
    with running_issuer() as issuer:
        made = IdentityCluster(tmp_path_factory.mktemp("minio"), issuer)
        with made.server(made.values).begin():
            ended = made.bootstrap(made.values)
            assert ended.code == 0, ended.text
            yield made


@pytest.fixture
def settings(store, tmp_path):
    """Those of a run; its token is not there yet."""
    return Settings(
        s3_endpoint=store.url,
        s3_ca_file=store.authority,
        s3_auth="webIdentity",
        s3_role=ROLE,
        s3_token_file=tmp_path / "token",
    )


@pytest.fixture
def waiting(store, platform, settings, tmp_path):
    """The environment of a run for which one object waits, and the object's key."""
    prefix = f"raw/{tmp_path.name}/"
    store.client(SERVER).put_object(
        Bucket="sales", Key=f"{prefix}a.csv", Body=as_csv(sales(range(4)))
    )
    folder = shutil.copytree(platform.settings.credentials_dir, tmp_path / "credentials")
    (folder / "object-store").unlink()
    request = platform.request(source={"bucket": "sales", "prefix": prefix})
    ours = settings.model_dump(exclude_defaults=True) | {"credentials_dir": folder}
    return platform.environ(request, **ours), f"{prefix}a.csv"


def lies(store, key):
    """Whether an object is where it was put."""
    listing = store.client(SERVER).list_objects_v2(Bucket="sales", Prefix=key)
    return listing["KeyCount"] == 1


def test_a_run_loads_its_file_by_the_token_of_its_account(store, platform, settings, waiting):
    environ, key = waiting
    settings.s3_token_file.write_text(store.issuer.token(RUN, AUDIENCE))
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.DONE, ended.err
    assert platform.value("SELECT count(*) FROM fact_sales") == 4
    assert not lies(store, key)


@pytest.mark.parametrize(
    ("code", "token", "role"),
    [
        pytest.param("bucket.denied", lambda of: of.token(STRANGER, AUDIENCE), ROLE, id="account"),
        pytest.param("identity.refused", lambda of: of.token(RUN, "vault"), ROLE, id="audience"),
        pytest.param("identity.refused", lambda of: of.token(RUN, AUDIENCE, -1), ROLE, id="ended"),
        pytest.param("identity.refused", lambda of: of.token(RUN, AUDIENCE), NOBODY, id="role"),
        pytest.param("identity.refused", lambda _: forged(RUN, AUDIENCE, ""), ROLE, id="forged"),
        pytest.param("identity.refused", lambda _: "no token", ROLE, id="nonsense"),
    ],
)
def test_a_token_that_is_not_the_runs_touches_nothing(store, settings, waiting, code, token, role):
    """Keys of others are at hand, and are not what it falls back to."""
    environ, key = waiting
    root = root_keys(store.secrets[SERVER])
    environ |= {"AWS_ACCESS_KEY_ID": root["access_key"], "SALES_S3_ROLE": role}
    environ |= {"AWS_SECRET_ACCESS_KEY": root["secret_key"]}
    shown = token(store.issuer)
    settings.s3_token_file.write_text(shown)
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.CONFIGURATION, ended.err
    assert f"[{code}]" in ended.err
    assert shown not in ended.err
    assert lies(store, key)


def test_a_token_that_is_not_there_is_missed_before_anything_is_asked(waiting, settings):
    environ, _ = waiting
    ended = command("run", environ=environ | {"SALES_S3_ENDPOINT": "https://localhost:1"})
    assert ended.code == ExitCode.CONFIGURATION
    assert "[identity.token]" in ended.last_words
    assert str(settings.s3_token_file) in ended.last_words


def test_a_store_that_is_away_is_worth_another_try(store, waiting, settings, monkeypatch):
    monkeypatch.setattr("sales_pipeline.batch._FIRST_PAUSE_SECONDS", 0)
    settings.s3_token_file.write_text(store.issuer.token(RUN, AUDIENCE))
    environ, _ = waiting
    ended = command("run", environ=environ | {"SALES_S3_ENDPOINT": "https://localhost:1"})
    assert ended.code == ExitCode.TEMPORARY
    assert "[bucket.unreachable]" in ended.last_words


def opened(settings):
    return Bucket.connect(settings, load_object_store_login(settings), "sales")


def until_refused(bucket):
    """Wait until the store refuses, and return how."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            bucket.head("raw/kept")
        except ConfigurationError as error:
            return error
        time.sleep(0.1)
    raise AssertionError("still let in")


def test_keys_end_with_the_token_and_a_run_goes_on_with_the_next(store, settings, tmp_path):
    """Two runs with a token that ends soon, of which the kubelet gives one the next in time."""
    store.client(SERVER).put_object(Bucket="sales", Key="raw/kept", Body=b"a")
    other = settings.model_copy(update={"s3_token_file": tmp_path / "other"})
    short = store.issuer.token(RUN, AUDIENCE, 3)
    for one in (settings, other):
        one.s3_token_file.write_text(short)
    run, forgotten = map(opened, (settings, other))
    assert run.head("raw/kept")
    assert forgotten.head("raw/kept")
    settings.s3_token_file.write_text(store.issuer.token(RUN, AUDIENCE))
    assert until_refused(forgotten).code == "identity.refused"
    assert run.head("raw/kept")


def test_keys_open_nothing_once_the_account_is_taken_away(store, settings):
    settings.s3_token_file.write_text(store.issuer.token(RUN, AUDIENCE))
    run = opened(settings)
    assert run.head("raw/nothing") is None
    accounts = {"other": {"serviceAccount": "other", "policies": ["sales-pipeline"]}}
    identity = store.values["webIdentity"] | {"accounts": accounts | {"sales-pipeline": None}}
    try:
        assert store.bootstrap(store.values | {"webIdentity": identity}).code == 0
        with pytest.raises(ConfigurationError) as refused:
            run.head("raw/nothing")
    finally:
        assert store.bootstrap(store.values).code == 0
    assert refused.value.code == "bucket.denied"


def asked_for(store, account, **options):
    """Keys for a token of an account, as anybody may ask who has one."""
    sts = boto3.client(
        "sts",
        endpoint_url=store.url,
        region_name="us-east-1",
        verify=str(store.authority),
        config=Config(signature_version=UNSIGNED),
    )
    token = store.issuer.token(account, AUDIENCE)
    shown = {"RoleArn": ROLE, "RoleSessionName": "run", "WebIdentityToken": token}
    return sts.assume_role_with_web_identity(**shown, **options)["Credentials"]


@pytest.mark.parametrize("account", [RUN, STRANGER])
def test_no_keys_outlive_the_token_that_they_are_for(store, account):
    """The store would give them for a year, if it were asked to and nothing forbade it."""
    with pytest.raises(ClientError, match="AccessDenied"):
        asked_for(store, account, DurationSeconds=900)
    ends = asked_for(store, account)["Expiration"]
    assert ends.timestamp() <= time.time() + 3600


@pytest.mark.parametrize("account", [RUN, STRANGER])
def test_no_other_keys_are_made_of_such_keys(store, account, tmp_path):
    """Those would never end."""
    keys = asked_for(store, account)
    login = ":".join(keys[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    trust = tmp_path / "certs/CAs"
    trust.mkdir(parents=True)
    shutil.copy(store.authority, trust)
    host = store.url.replace("https://", f"https://{login}@")
    done = subprocess.run(
        [program("mc"), "admin", "user", "svcacct", "add", "store", keys["AccessKeyId"]],
        env={"HOME": str(tmp_path), "MC_CONFIG_DIR": str(tmp_path), "MC_HOST_store": host},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Access Denied" in done.stdout + done.stderr


def test_keys_of_a_long_token_are_asked_for_once(store, settings):
    """What is asked for at every call would be a second call for each."""
    store.client(SERVER).put_object(Bucket="sales", Key="raw/kept", Body=b"a")
    settings.s3_token_file.write_text(store.issuer.token(RUN, AUDIENCE))
    run = opened(settings)
    assert run.head("raw/kept")
    settings.s3_token_file.unlink()
    assert run.head("raw/kept")
