"""`charts/minio` against a real server: what the bootstrap makes of it, who may do what then."""

import io
import json
from functools import partial
from secrets import token_hex

import pytest
import trustme
from botocore.exceptions import ClientError

from sales_pipeline import bucket as bucket_module
from sales_pipeline.bucket import Bucket, ObjectGoneError
from sales_pipeline.credentials import ObjectStoreLogin
from sales_pipeline.demo.ports import free_ports
from sales_pipeline.settings import Settings
from tests.charts.event_receiver import event_receiver
from tests.charts.minio_cluster import (
    OPERATOR,
    PIPELINE,
    SERVER,
    MinioCluster,
    certificate,
    config_env,
    parse_env,
    user_keys,
)
from tests.support.services import status_of, versions_of

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
CONFIGURATION = 78


@pytest.fixture
def cluster(tmp_path):
    """A cluster for one test to break."""
    return MinioCluster(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A cluster with a running server, bootstrapped, for all tests that only look."""
    made = MinioCluster(tmp_path_factory.mktemp("minio"))
    with made.server().begin():
        ended = made.bootstrap()
        assert ended.code == 0, ended.text
        yield made


def denied(call, **arguments):
    """Whether a call is refused for want of rights."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return status_of(refused.value) == 403


def configuration_of(client):
    """What the bucket is set to, and all that lies in it."""
    lifecycle = client.get_bucket_lifecycle_configuration(Bucket="sales")["Rules"]
    encryption = client.get_bucket_encryption(Bucket="sales")
    (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    return {
        "versioning": client.get_bucket_versioning(Bucket="sales")["Status"],
        "encryption": rule["ApplyServerSideEncryptionByDefault"],
        "lifecycle": {rule["ID"]: rule for rule in lifecycle},
        "versions": versions_of(client, "sales", ""),
    }


# --- bootstrap ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_bootstrap_sets_the_bucket_up_and_changes_nothing_when_repeated(cluster, shell):
    with cluster.server().begin():
        first = cluster.bootstrap(shell=shell)
        assert first.code == 0, first.text
        made = configuration_of(cluster.client(SERVER))
        assert cluster.bootstrap(shell=shell) == first
        assert configuration_of(cluster.client(SERVER)) == made
    assert made["versioning"] == "Enabled"
    assert made["encryption"] == {"SSEAlgorithm": "AES256"}
    assert made["lifecycle"].keys() == {"helm-test", "replaced-versions"}
    assert made["lifecycle"]["replaced-versions"]["NoncurrentVersionExpiration"] == {
        "NoncurrentDays": 30
    }
    assert made["versions"] == []


def test_bootstrap_takes_away_what_is_no_longer_wanted(cluster):
    """A rule set by hand, a user's surplus policy, and the rights of a key that was replaced."""
    generous = {"users": {"sales-operator": {"policies": ["sales-operator", "sales-pipeline"]}}}
    key = {"Bucket": "sales", "Key": "processed/a"}
    with cluster.server().begin():
        assert cluster.bootstrap(generous).code == 0
        cluster.client(PIPELINE).put_object(**key)
        old, operator = cluster.client(PIPELINE), cluster.client(OPERATOR)
        assert operator.get_object(**key)
        cluster.secrets[PIPELINE] = user_keys()
        expires = {"ID": "by-hand", "Status": "Enabled", "Filter": {"Prefix": ""}}
        cluster.client(SERVER).put_bucket_lifecycle_configuration(
            Bucket="sales",
            LifecycleConfiguration={"Rules": [expires | {"Expiration": {"Days": 1}}]},
        )
        assert cluster.bootstrap({"buckets": {"sales": {"lifecycle": None}}}).code == 0
        assert denied(operator.get_object, **key)
        assert denied(old.get_object, **key)
        assert cluster.client(PIPELINE).get_object(**key)
        with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
            cluster.client(SERVER).get_bucket_lifecycle_configuration(Bucket="sales")


def expiry_of(cluster, key):
    """The rule by which the server says that an object will expire; none: it stays."""
    client = cluster.client(SERVER)
    client.put_object(Bucket="sales", Key=key, Body=b"a")
    said = client.head_object(Bucket="sales", Key=key).get("Expiration", "")
    return said.partition('rule-id="')[2].rstrip('"')


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("raw/a.csv", ""),
        ("processed/a.csv", ""),
        ("quarantine/a.csv", ""),
        ("processed/.helm-test", "helm-test"),
    ],
)
def test_no_original_expires_unless_somebody_asked_for_it(ready, key, rule):
    assert expiry_of(ready, key) == rule


def test_originals_expire_by_the_rule_whose_days_are_set(cluster):
    rules = {
        name: {"expireAfterDays": 9} for name in ("processed-retention", "quarantine-retention")
    }
    with cluster.server().begin():
        assert cluster.bootstrap({"buckets": {"sales": {"lifecycle": rules}}}).code == 0
        assert expiry_of(cluster, "processed/a.csv") == "processed-retention"
        assert expiry_of(cluster, "quarantine/a.csv") == "quarantine-retention"
        assert expiry_of(cluster, "raw/a.csv") == ""


def test_bootstrap_follows_a_new_secret_key(cluster):
    with cluster.server().begin():
        cluster.bootstrap()
        cluster.secrets[OPERATOR]["secret_key"] = user_keys()["secret_key"]
        assert cluster.bootstrap().code == 0
        assert cluster.client(OPERATOR).list_objects_v2(Bucket="sales")["KeyCount"] == 0


def test_config_env_may_be_written_with_export_and_quotes(cluster):
    lines = parse_env({"config.env": config_env()})
    text = "# comment\n\n" + "\n".join(f'  export {k}="{v}"' for k, v in lines.items())
    cluster.secrets[SERVER] = {"config.env": text}
    with cluster.server().begin():
        ended = cluster.bootstrap()
        assert ended.code == 0, ended.text


def without_kms_key(cluster):
    cluster.secrets[SERVER]["config.env"] = config_env(MINIO_KMS_SECRET_KEY=None)


def after_a_change_of_the_root_login(cluster):
    cluster.secrets[SERVER]["config.env"] = config_env()


def without_root_login(cluster):
    cluster.secrets[SERVER]["config.env"] = config_env(MINIO_ROOT_USER=None)


def with_a_short_secret_key(cluster):
    cluster.secrets[PIPELINE]["secret_key"] = "short"


def with_an_odd_access_key(cluster):
    cluster.secrets[PIPELINE]["access_key"] = 'a"b'


def with_another_ca(cluster):
    cluster.secrets["minio-tls"] = certificate(trustme.CA())


def nothing(cluster):
    pass


@pytest.mark.parametrize(
    ("before", "after", "values", "words"),
    [
        pytest.param(
            without_kms_key, nothing, {}, "in config.env of Secret minio-server", id="no KMS key"
        ),
        pytest.param(
            nothing, after_a_change_of_the_root_login, {}, "refuses the root login", id="root"
        ),
        pytest.param(nothing, without_root_login, {}, "lacks MINIO_ROOT_USER", id="no root"),
        pytest.param(nothing, with_a_short_secret_key, {}, "user sales-pipeline", id="short key"),
        pytest.param(nothing, with_an_odd_access_key, {}, "user sales-pipeline", id="odd key"),
        pytest.param(
            nothing,
            nothing,
            {"policies": {"odd": [{"Effect": "Allow", "Action": ["s3:Nonsense"]}]}},
            "policy odd: the server refuses it",
            id="odd policy",
        ),
        pytest.param(
            nothing,
            with_another_ca,
            {"bootstrap": {"waitSeconds": 1}},
            "not healthy within 1 s",
            id="another CA",
        ),
    ],
)
def test_bootstrap_gives_up_with_a_word_on_what_to_do(cluster, before, after, values, words):
    """What only a human can mend ends with the code that keeps the Job from trying again."""
    before(cluster)
    with cluster.server().begin():
        after(cluster)
        ended = cluster.bootstrap(values)
    assert ended.code == CONFIGURATION, ended.text
    assert words in ended.text
    assert [text for text in cluster.confidential() if text in ended.text] == []


def test_bootstrap_gives_up_where_no_server_answers(cluster):
    ended = cluster.bootstrap({"bootstrap": {"waitSeconds": 1}})
    assert ended.code == CONFIGURATION
    assert "not healthy within 1 s" in ended.text


# --- secrets ------------------------------------------------------------------------------------


def readable_on_the_drive(cluster, text):
    """The files of the server's drive that hold a text, as whoever took it away would see them."""
    files = [path for path in (cluster.root / "StatefulSet/data").rglob("*") if path.is_file()]
    assert files
    return [path for path in files if text.encode() in path.read_bytes()]


def store(cluster, secret, size):
    """Have a user store an object without asking for encryption; returns what tells its content."""
    content = token_hex(16)
    body = content.encode() * (size // len(content))
    key = {"Bucket": "sales", "Key": f"processed/{content[:8]}"}
    cluster.client(secret).put_object(**key, Body=body)
    assert cluster.client(SERVER).get_object(**key)["Body"].read() == body
    return content


@pytest.mark.parametrize("size", [1024, MIB], ids=["within its metadata", "in a file of its own"])
def test_whoever_takes_the_drive_away_reads_nothing(ready, size):
    """The bucket encrypts by itself: neither the writer nor the pipeline's settings ask for it."""
    assert readable_on_the_drive(ready, store(ready, PIPELINE, size)) == []


def test_no_secret_is_readable_on_the_drive(ready):
    assert [text for text in ready.confidential() if readable_on_the_drive(ready, text)] == []


@pytest.mark.parametrize("size", [1024, MIB], ids=["within its metadata", "in a file of its own"])
def test_without_a_kms_key_the_drive_could_be_read(cluster, size):
    """So the search above finds what is there."""
    without_kms_key(cluster)
    with cluster.server().begin():
        cluster.client(SERVER).create_bucket(Bucket="sales")
        assert readable_on_the_drive(cluster, store(cluster, SERVER, size)) != []


def eavesdrop(cluster):
    """Have every call of mc noted down, with its environment; returns where."""
    heard, wrapper = cluster.root / "heard", cluster.root / "wrapper/mc"
    wrapper.parent.mkdir()
    real, env = cluster.mc, "/usr/bin/env"
    wrapper.write_text(f'#!/bin/sh\n{{ echo "$@"; {env}; }} >>{heard}\nexec {real} "$@"\n')
    wrapper.chmod(0o700)
    cluster.mc = str(wrapper)
    return heard


def test_no_secret_is_printed_or_given_by_argument_or_environment(cluster):
    heard = eavesdrop(cluster)
    with cluster.server().begin():
        said = cluster.bootstrap().text + cluster.helm_test().text
    seen = said + heard.read_text() + (cluster.root / "StatefulSet/minio.log").read_text()
    assert "admin user add root" in seen
    assert [text for text in cluster.confidential() if text in seen] == []


# --- rights -------------------------------------------------------------------------------------


@pytest.fixture
def pipeline(ready):
    """The pipeline's own door to the bucket, opened with the pipeline's keys."""
    settings = Settings(s3_endpoint=ready.url, s3_ca_file=ready.authority)
    login = ObjectStoreLogin(**ready.secrets[PIPELINE])
    return Bucket.connect(settings, login, "sales")


def arrive(ready, pipeline, key, body=b"a"):
    """Somebody uploads; returns the object as the pipeline finds it."""
    ready.client(SERVER).put_object(Bucket="sales", Key=key, Body=body)
    (listed,) = (ref for ref in pipeline.list("raw/") if ref.key == key)
    return pipeline.current(listed)


@pytest.mark.parametrize("to", ["processed/", "quarantine/"])
@pytest.mark.parametrize("size", [1, 6 * MIB], ids=["one piece", "parts"])
def test_pipeline_may_read_and_move_what_arrived(ready, pipeline, monkeypatch, to, size):
    monkeypatch.setattr(bucket_module, "_MULTIPART_BYTES", 5 * MIB)
    ref = arrive(ready, pipeline, f"raw/{to}{size}.csv", b"a" * size)
    assert ref.version_id
    assert sum(map(len, pipeline.read(ref))) == size
    pipeline.move(ref, f"{to}{size}.csv", ref)
    assert versions_of(ready.client(SERVER), "sales", ref.key) == []
    head = ready.client(SERVER).head_object(Bucket="sales", Key=f"{to}{size}.csv")
    assert (head["ContentLength"], head["ServerSideEncryption"]) == (size, "AES256")
    with pytest.raises(ObjectGoneError):
        pipeline.current(ref)


def test_pipeline_may_write_forget_and_release_what_it_put_aside(ready, pipeline):
    pipeline.put("quarantine/b.csv", io.BytesIO(b"b" * 9 * MIB), "text/csv")
    pipeline.put("quarantine/reason.json", io.BytesIO(b"{}"), "application/json")
    pipeline.delete("quarantine/reason.json")
    assert pipeline.head("quarantine/reason.json") is None
    ref = pipeline.head("quarantine/b.csv")
    pipeline.move(ref, "processed/b.csv", ref)
    assert pipeline.head("processed/b.csv").size == 9 * MIB
    assert versions_of(ready.client(SERVER), "sales", "quarantine/b.csv") == []


def test_pipeline_may_not_touch_the_archive_or_the_rights(ready, pipeline):
    ready.client(SERVER).put_object(Bucket="sales", Key="processed/kept", Body=b"1")
    version = versions_of(ready.client(SERVER), "sales", "processed/kept")[0]
    s3, kept = ready.client(PIPELINE), {"Bucket": "sales", "Key": "processed/kept"}
    assert denied(s3.delete_object, **kept)
    assert denied(s3.delete_object, **kept, VersionId=version)
    assert denied(s3.put_object, Bucket="sales", Key="raw/x", Body=b"")
    assert denied(s3.put_object, Bucket="sales", Key="elsewhere", Body=b"")
    assert denied(s3.list_objects_v2, Bucket="sales", Prefix="processed/")
    assert denied(s3.list_objects_v2, Bucket="sales")
    assert denied(s3.put_bucket_versioning, Bucket="sales", VersioningConfiguration={})
    assert denied(s3.put_bucket_notification_configuration, Bucket="sales",
                  NotificationConfiguration={})  # fmt: skip


def test_operator_may_list_and_subscribe_but_not_read(ready):
    ready.client(SERVER).put_object(Bucket="sales", Key="raw/o.csv", Body=b"1")
    s3, found = ready.client(OPERATOR), {"Bucket": "sales", "Key": "raw/o.csv"}
    keys = [
        entry["Key"] for entry in s3.list_objects_v2(Bucket="sales", Prefix="raw/o")["Contents"]
    ]
    assert keys == ["raw/o.csv"]
    s3.get_bucket_location(Bucket="sales")
    s3.put_bucket_notification_configuration(Bucket="sales", NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket="sales")
    assert denied(s3.get_object, **found)
    assert denied(s3.head_object, **found)
    assert denied(s3.delete_object, **found)
    assert denied(s3.put_object, **found, Body=b"")


# --- helm test ----------------------------------------------------------------------------------


def helm_test_after(cluster, change):
    """What `helm test` says once something is wrong, which is put right again afterwards."""
    change()
    ended = cluster.helm_test()
    assert cluster.bootstrap().code == 0
    assert ended.code == 1, ended.text
    return ended.text.splitlines()[-1]


def test_helm_test_passes_where_all_is_well_and_names_what_is_not(cluster):
    def everybody_may(action):
        arn = "arn:aws:s3:::sales"
        statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": arn + "/*"}
        if action == "s3:ListBucket":
            statement["Resource"] = arn
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return lambda: root.put_bucket_policy(Bucket="sales", Policy=policy)

    def role_may_do_all(role):
        return lambda: cluster.bootstrap({"policies": {role: [everything]}})

    everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    with cluster.server().begin():
        root = cluster.client(SERVER)
        assert "did the bootstrap run?" in helm_test_after(cluster, lambda: None)
        assert cluster.helm_test().code == 0
        said = helm_test_after(cluster, lambda: root.delete_bucket_encryption(Bucket="sales"))
        assert said == "FAILED: what sales-pipeline writes is not encrypted"
        said = helm_test_after(cluster, role_may_do_all("sales-pipeline"))
        assert said == "FAILED: sales-pipeline may delete sales/processed/.helm-test"
        said = helm_test_after(cluster, role_may_do_all("sales-operator"))
        assert said == "FAILED: sales-operator may read sales/processed/.helm-test"
        said = helm_test_after(cluster, everybody_may("s3:ListBucket"))
        assert said == "FAILED: sales can be listed by anybody"
        said = helm_test_after(cluster, everybody_may("s3:GetObject"))
        assert said == "FAILED: sales/processed/.helm-test can be read by anybody"
        root.delete_bucket_policy(Bucket="sales")
        assert cluster.helm_test(shell="bash").code == 0


# --- events -------------------------------------------------------------------------------------


def test_event_outlives_a_crash_and_reaches_the_receiver_once_it_is_there(cluster):
    """It is on the drive before the upload is answered, and comes with the token, over TLS."""
    (port,) = free_ports(1)
    values = {"webhook": {"enabled": True, "endpoint": f"https://localhost:{port}/events"}}
    rules = [{"Name": "prefix", "Value": "raw/"}, {"Name": "suffix", "Value": ".csv"}]
    queue = {
        "QueueArn": "arn:minio:sqs::SALES:webhook",
        "Events": ["s3:ObjectCreated:Put"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    with cluster.server(values).begin() as server:
        assert cluster.bootstrap(values).code == 0
        cluster.client(OPERATOR).put_bucket_notification_configuration(
            Bucket="sales", NotificationConfiguration={"QueueConfigurations": [queue]}
        )
        root = cluster.client(SERVER)
        root.put_object(Bucket="sales", Key="processed/other.csv")
        root.put_object(Bucket="sales", Key="raw/a.csv")
        with server.outage():
            waiting = cluster.root / "StatefulSet/data/.webhook-queue"
            assert len([path for path in waiting.rglob("*") if path.is_file()]) == 1
        with event_receiver(port, cluster.secrets["minio-tls"], cluster.root) as received:
            event = next(e for e in iter(partial(received.get, timeout=30), None) if e.body)
        assert event.key == "sales/raw/a.csv"
        token = parse_env(cluster.secrets[SERVER])["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES"]
        assert event.authorization == f"Bearer {token}"
        assert [found["Name"] for found in root.list_buckets()["Buckets"]] == ["sales"]
