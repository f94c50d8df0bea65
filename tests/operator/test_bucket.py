"""The operator's door to the object store, against real servers: SeaweedFS, and MinIO over TLS."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from sales_api.v1alpha1 import Source
from sales_operator.bucket import Store, StoreError
from sales_operator.settings import ObjectStore
from sales_operator.store_problems import RULES_OVERLAP, TARGET_MISSING, fault
from sales_pipeline.bucket import Bucket
from sales_pipeline.credentials import ObjectStoreLogin
from sales_pipeline.demo.ports import free_ports
from sales_pipeline.settings import Settings
from tests.charts.minio_cluster import OPERATOR, SERVER, MinioCluster, config_env, parse_env
from tests.operator.receiving import Serving, mount

pytestmark = pytest.mark.integration

WRONG_KEY = "a-wrong-one"
ARN = "arn:minio:sqs::SALES:webhook"
ODD_KEYS = [
    "raw/plain.csv",
    "raw/a b.csv",
    "raw/a+b.csv",
    "raw/a%20b.csv",
    "raw/ü.csv",
    "raw/u\u0308.csv",
    "raw/😀 & <x> \"'.csv",
    "raw/new\nline.csv",
    "raw/sub/deep/?#=;.csv",
]


def write_keys(folder, keys):
    folder.mkdir(exist_ok=True)
    for name in ("access_key", "secret_key"):
        (folder / name).write_text(f"{keys[name]}\n")


def source(bucket, **more):
    return Source(bucket=bucket, **more)


@contextmanager
def refused(reason, *, lasting=True, mentions=()):
    """What the block asks is refused, and told in our own words."""
    with pytest.raises(StoreError) as told:
        yield
    problem = told.value.problem
    assert (problem.reason, problem.is_lasting) == (reason, lasting)
    assert all(text in problem.message for text in mentions), problem.message
    assert WRONG_KEY not in problem.message
    assert str(told.value) == problem.message
    assert told.value.__suppress_context__


# --- listing, and what goes wrong on the way ----------------------------------------------------


@pytest.fixture
def where(services, tmp_path):
    keys = {"access_key": services.s3.access_key, "secret_key": services.s3.secret_key}
    write_keys(tmp_path / "keys", keys)
    return ObjectStore(endpoint=services.s3.endpoint, credentials=tmp_path / "keys")


@pytest.fixture
def store(where):
    with closing(Store(where)) as made:
        yield made


def test_wanted_objects_are_listed_as_the_pipeline_lists_them(services, s3, bucket, store):
    """Odd keys, empty files; not folders, other prefixes, or what the patterns leave out."""
    for key in [*ODD_KEYS, "raw/empty.csv", "raw/x.csv.gz"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"" if "empty" in key else key.encode())
    for key in ["raw/folder/", "raw/a.txt", "raw/skip.csv", "processed/a.csv", "rawer.csv"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    include = ["*.csv", "*.csv.gz", "folder*"]
    found = store.list(source(bucket, include=include, exclude=["skip*"]))
    assert {ref.key for ref in found} == {*ODD_KEYS, "raw/empty.csv", "raw/x.csv.gz"}
    login = ObjectStoreLogin(access_key=services.s3.access_key, secret_key=services.s3.secret_key)
    settings = Settings(s3_endpoint=services.s3.endpoint)
    pipelines = {ref.key: ref for ref in Bucket.connect(settings, login, bucket).list("raw/")}
    assert [pipelines[ref.key] for ref in found] == found
    assert len(found) == len(ODD_KEYS) + 2
    assert [ref.size for ref in found if ref.key == "raw/empty.csv"] == [0]


def test_many_objects_are_listed_page_by_page(s3, bucket, store):
    keys = [f"raw/{number:04}.csv" for number in range(2100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key), keys))
    begin = time.monotonic()
    assert [ref.key for ref in store.list(source(bucket))] == keys
    assert time.monotonic() - begin < 10


def test_nothing_there_is_no_error(bucket, store):
    assert list(store.list(source(bucket))) == []


def test_threads_share_the_door(s3, bucket, store):
    s3.put_object(Bucket=bucket, Key="raw/a.csv", Body=b"1")
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: store.list(source(bucket)), range(50)))
    assert {ref.key for refs in found for ref in refs} == {"raw/a.csv"}
    assert [len(refs) for refs in found] == [1] * 50


def test_missing_bucket(store, where):
    with refused("BucketMissing", mentions=["no-such-bucket", where.endpoint]):
        store.list(source("no-such-bucket"))
    with refused("BucketMissing", mentions=["no-such-bucket"]):
        store.subscribe("no-such-bucket", ["raw/"], "op", ARN)


def test_name_that_no_bucket_can_have(store):
    with refused("BucketMissing", mentions=["no bucket can have this name"]):
        store.list(source("not a/name"))


def test_wrong_keys_and_then_the_right_ones(bucket, where):
    """New keys in the files count from the next call on; what was refused is not told."""
    right = {name: (where.credentials / name).read_text() for name in ("access_key", "secret_key")}
    with closing(Store(where)) as store:
        for name in right:
            write_keys(where.credentials, right | {name: WRONG_KEY})
            with refused("KeysRefused", mentions=["objectStore.credentials"]):
                store.list(source(bucket))
        write_keys(where.credentials, right)
        assert list(store.list(source(bucket))) == []


@pytest.mark.parametrize("kind", ["folder", "file", "empty", "binary"])
def test_missing_keys(where, kind):
    file = where.credentials / "secret_key"
    {
        "folder": lambda: where.credentials.rename(where.credentials.with_name("gone")),
        "file": file.unlink,
        "empty": partial(file.write_text, " \n"),
        "binary": partial(file.write_bytes, b"\xff\xfe"),
    }[kind]()
    with refused("CredentialsMissing", mentions=["secret_key", "objectStore.credentials"]):
        Store(where).list(source("sales"))


@pytest.mark.parametrize("endpoint", ["nowhere", "http//x:1", "http://[::1"])
def test_endpoint_that_is_no_url(where, endpoint):
    with refused("BadEndpoint", mentions=["objectStore.endpoint"]):
        Store(where.model_copy(update={"endpoint": endpoint})).list(source("sales"))


def test_nobody_answers(where):
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    with refused("Unreachable", lasting=False, mentions=[endpoint]):
        Store(where.model_copy(update={"endpoint": endpoint})).list(source("sales"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_endpoint_of_the_wrong_scheme(where, minio, scheme):
    """It may be the port of something that is about to change: expected to pass."""
    other = minio.cluster.url if scheme == "http" else where.endpoint
    endpoint = f"{scheme}://{other.partition('://')[2]}"
    with refused("Unreachable", lasting=False, mentions=["objectStore.endpoint"]):
        Store(where.model_copy(update={"endpoint": endpoint})).list(source("sales"))


def test_store_without_notification_rules(bucket, store):
    """It is told, rather than believed; and nothing is asked of it where nothing is wanted."""
    with refused("NotSupported", mentions=["trigger.events"]):
        store.subscribe(bucket, ["raw/"], "op", ARN)
    store.subscribe(bucket, [], "op", ARN)


def test_rule_that_overlaps_is_told_from_a_missing_target():
    """Stores that refuse what overlaps with rules of others give it the same code."""
    text = "Configurations overlap. Configurations on the same bucket cannot share an event type."
    assert fault("InvalidArgument", 400, text) is RULES_OVERLAP
    text = "Unable to validate the following destination configurations"
    assert fault("InvalidArgument", 400, text) is TARGET_MISSING


# --- MinIO: TLS, rules, events ------------------------------------------------------------------


class World:
    """MinIO as the chart runs it, with its webhook pointing at a receiver of ours."""

    def __init__(self, folder: Path) -> None:
        self.cluster = MinioCluster(folder)
        # A region, as MinIO then writes ARNs otherwise than it was given them.
        region = {"MINIO_SITE_REGION": "eu-west-1"}
        self.cluster.secrets[SERVER] = {"config.env": config_env(**region)}
        self.serving = Serving(folder / "receiver", free_ports(1)[0])
        self.serving.folder.mkdir()
        tls = self.cluster.secrets["minio-tls"]
        (self.serving.folder / "ca.crt").write_text(tls["ca.crt"])
        mount(self.serving.folder / "tls", {k: tls[k].encode() for k in ("tls.crt", "tls.key")})
        token = parse_env(self.cluster.secrets[SERVER])["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES"]
        mount(self.serving.folder / "events", {"token": token.encode()})
        endpoint = f"https://localhost:{self.serving.port}/events"
        self.values = {"webhook": {"enabled": True, "endpoint": endpoint}}
        write_keys(folder / "keys", self.cluster.secrets[OPERATOR])
        self.where = ObjectStore(
            endpoint=self.cluster.url,
            region="eu-west-1",
            ca_file=self.cluster.authority,
            credentials=folder / "keys",
        )

        self.root = self.cluster.client(SERVER)

    def rules(self):
        """The rules of the bucket."""
        found = self.root.get_bucket_notification_configuration(Bucket="sales")
        return found.get("QueueConfigurations", [])

    def prefixes(self):
        """What the rules are for."""
        return [
            part["Value"]
            for rule in self.rules()
            for part in rule.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        ]

    def wait_for(self, number):
        """That many events, or a failure; then all that came."""
        got = [self.serving.woken.get(timeout=60) for _ in range(number)]
        return [*got, *self.serving.all_woken()]


@pytest.fixture(scope="module")
def minio(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("minio"))
    with world.cluster.server(world.values).begin(), closing(world.root):
        ended = world.cluster.bootstrap(world.values)
        assert ended.code == 0, ended.text
        yield world


@pytest.fixture
def door(minio):
    """The door to MinIO, whose bucket has no rules yet."""
    minio.root.put_bucket_notification_configuration(Bucket="sales", NotificationConfiguration={})
    with closing(Store(minio.where)) as store:
        yield store


FOREIGN = {
    "QueueArn": ARN,
    "Events": ["s3:ObjectRemoved:*"],
    "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".audit"}]}},
}


def test_rules_follow_the_prefixes_and_those_of_others_stay(minio, door):
    minio.root.put_bucket_notification_configuration(
        Bucket="sales", NotificationConfiguration={"QueueConfigurations": [FOREIGN]}
    )
    (foreign,) = minio.rules()
    door.subscribe("sales", ["raw/", "in/"], "op", ARN)
    door.subscribe("sales", ["raw/"], "other-op", ARN)
    assert minio.prefixes() == [".audit", "in/", "raw/", "raw/"]
    door.subscribe("sales", ["raw/ü +%/"], "op", ARN)
    assert minio.prefixes() == [".audit", "raw/", "raw/ü +%/"]
    door.subscribe("sales", [], "op", ARN)
    door.subscribe("sales", [], "other-op", ARN)
    assert minio.rules() == [foreign]


def test_rules_as_wanted_are_not_written_again(minio, door):
    """Only reading is asked of a bucket that is as it should be, though MinIO spells ARNs anew."""
    door.subscribe("sales", ["raw/"], "op", ARN)
    assert minio.rules()[0]["QueueArn"] == ARN.replace("::", ":eu-west-1:")
    writes = []
    door._client.meta.events.register(
        "before-call.s3.PutBucketNotificationConfiguration", lambda **sent: writes.append(sent)
    )
    door.subscribe("sales", ["raw/", "raw/x/"], "op", ARN)
    assert writes == []
    door.subscribe("sales", ["in/"], "op", ARN)
    assert len(writes) == 1


def test_threads_that_subscribe_at_once_leave_all_rules(minio, door):
    """Each would otherwise write what it has read before the others wrote."""
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(door.subscribe, "sales", ["raw/"], f"op-{number}", ARN)
            for number in range(8)
        ]
    assert [job.result() for job in jobs] == [None] * 8
    assert len(minio.rules()) == 8


def test_target_that_the_server_does_not_know(door):
    with refused("TargetMissing", mentions=["webhook.enabled", "bucket sales"]):
        door.subscribe("sales", ["raw/"], "op", "arn:minio:sqs::NOWHERE:webhook")


def test_bucket_that_the_policy_does_not_name(door):
    with refused("AccessDenied", mentions=["others-bucket"]):
        door.subscribe("others-bucket", ["raw/"], "op", ARN)
    with refused("AccessDenied", mentions=["others-bucket"]):
        door.list(source("others-bucket"))


@pytest.mark.parametrize("kind", ["none", "other", "missing", "no certificate"])
def test_server_that_nobody_vouches_for(minio, tmp_path, kind):
    """Nothing is sent; and once the CA's file is right, it works without a restart."""
    file = tmp_path / "ca.pem"
    if kind == "other":
        trustme.CA().cert_pem.write_to_path(file)
    elif kind == "no certificate":
        file.write_text("nothing")
    ca_file = None if kind == "none" else file
    with closing(Store(minio.where.model_copy(update={"ca_file": ca_file}))) as store:
        with refused("Untrusted", mentions=["objectStore.caFile"]):
            store.list(source("sales"))
        if ca_file:
            file.write_bytes(minio.cluster.authority.read_bytes())
            store.list(source("sales"))


def test_events_of_odd_keys_arrive_as_they_are(minio, door):
    """Each once, also where two prefixes lie in one another; and nothing but what came."""
    door.subscribe("sales", ["raw/", "raw/sub/"], "op", ARN)
    root = minio.root
    with minio.serving.up():
        for key in ODD_KEYS:
            root.put_object(Bucket="sales", Key=key, Body=b"1")
        root.put_object(Bucket="sales", Key="processed/a.csv", Body=b"1")
        tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
        root.put_object_tagging(Bucket="sales", Key=ODD_KEYS[0], Tagging=tags)
        root.delete_object(Bucket="sales", Key=ODD_KEYS[0])
        root.copy_object(Bucket="sales", Key="raw/last.csv", CopySource="sales/processed/a.csv")
        woken = minio.wait_for(len(ODD_KEYS) + 1)
    assert woken == [("sales", key) for key in [*ODD_KEYS, "raw/last.csv"]]


def test_events_wait_while_nobody_receives(minio, door):
    """They come once somebody does; none is lost or told of twice."""
    door.subscribe("sales", ["raw/"], "op", ARN)
    root, keys = minio.root, [f"raw/{number:03}.csv" for number in range(200)]
    for key in keys:
        root.put_object(Bucket="sales", Key=key, Body=b"1")
    with minio.serving.up():
        woken = minio.wait_for(len(keys))
    assert sorted(woken) == [("sales", key) for key in keys]


def test_events_that_are_refused_for_their_token_come_once_it_is_right(minio, door):
    """Refused again and again meanwhile, as what they are; and then each is told of once."""
    door.subscribe("sales", ["raw/"], "op", ARN)
    keys = [("sales", f"raw/refused-{number}.csv") for number in range(20)]
    token = (minio.serving.folder / "events/token").read_bytes()
    mount(minio.serving.folder / "events", {"token": b"another"})
    with minio.serving.up():
        for bucket, key in keys:
            minio.root.put_object(Bucket=bucket, Key=key, Body=b"1")
        again = [minio.serving.refused.get(timeout=60) for _ in range(2)]
        assert minio.serving.all_woken() == []
        mount(minio.serving.folder / "events", {"token": token})
        woken = minio.wait_for(len(keys))
    assert set(again) <= set(keys)
    assert sorted(woken) == sorted(keys)
