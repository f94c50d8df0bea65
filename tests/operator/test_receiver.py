"""The receiver, over real TLS: who is let in, what is answered, what changes without a restart."""

import asyncio
import gzip
import http.client
import logging
import shutil
import socket
import ssl
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from prometheus_client import CollectorRegistry

from sales_operator import refusing
from sales_operator.certificate import CertificateError, not_after
from sales_operator.metrics import REGISTRY
from sales_operator.receiver import MAX_BODY_BYTES
from sales_operator.refusing import MAX_BYTES
from tests.operator.receiving import (
    TOKEN,
    Serving,
    counted,
    counted_refused,
    lay_out,
    mount,
    notification,
)
from tests.support.waiting import until

EXPIRY = "sales_operator_certificate_expiry_timestamp_seconds"


@pytest.fixture
def laid_out(tmp_path):
    """A receiver with all its files, not serving yet."""
    lay_out(tmp_path, trustme.CA())
    return Serving(tmp_path)


@pytest.fixture
def receiver(laid_out):
    with laid_out.up():
        yield laid_out


# --- events -------------------------------------------------------------------------------------


def test_event_is_answered_and_wakes(receiver):
    before = counted("ok")
    answer = receiver.post(notification("raw/a b+c%20ü😀.csv"))
    assert (answer.status, answer.text) == (204, "")
    assert receiver.all_woken() == [("sales", "raw/a b+c%20ü😀.csv")]
    assert counted("ok") == before + 1


def test_event_that_comes_ten_times_is_answered_and_wakes_each_time(receiver):
    """To tell whether it is news is not the receiver's business."""
    for _ in range(10):
        assert receiver.post(notification("raw/a.csv")).status == 204
    assert receiver.all_woken() == [("sales", "raw/a.csv")] * 10


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"no event at all", "unreadable"),
        (b"\xff\x00", "unreadable"),
        (b'{"Records":[{}]}', "unreadable"),
        (b"", "ignored"),
        (b"{}", "ignored"),
        (notification("raw/a.csv", "s3:ObjectRemoved:Delete"), "ignored"),
        (notification("raw/a.csv", "s3:ObjectCreated:PutTagging"), "ignored"),
        (b" " * MAX_BODY_BYTES, "unreadable"),
    ],
)
def test_whatever_the_object_store_says_is_answered_well(receiver, body, result):
    """It would repeat a refused event for ever, and hold all others back meanwhile."""
    before = counted(result)
    assert receiver.post(body).status == 204
    assert counted(result) == before + 1
    assert receiver.all_woken() == []


def test_event_is_answered_well_even_if_nobody_can_be_woken(laid_out, caplog):
    def broken(bucket, key):
        raise LookupError(bucket)

    laid_out.wake = broken
    with laid_out.up() as receiver:
        assert receiver.post(notification("raw/a.csv")).status == 204
    assert "an event woke nobody" in caplog.messages


def test_too_much_is_refused(receiver):
    assert receiver.post(b" " * (MAX_BODY_BYTES + 1)).status == 413
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
    assert receiver.ask("POST", "/events", bomb, headers=headers).status == 413


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer tökén",
    ],
)
def test_stranger_is_refused(receiver, authorization):
    before = counted("refused")
    encoded = None if authorization is None else authorization.encode()
    answer = receiver.post(notification("raw/a.csv"), encoded)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert counted("refused") == before + 1
    assert receiver.all_woken() == []


# --- what is refused


def refused_as(receiver, body, authorization="Bearer another", **headers):
    """The reason that a refused request is counted under."""
    reasons = ("wrong_token", "no_token", "no_event", "unread")
    before = {reason: counted_refused(reason) for reason in reasons}
    shown = {} if authorization is None else {"Authorization": authorization}
    sent = {"Content-Type": "application/json", **shown, **headers}
    assert receiver.ask("POST", "/events", body, headers=sent).status == 401
    (reason,) = [reason for reason in reasons if counted_refused(reason) > before[reason]]
    return reason


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [("Bearer another", "wrong_token"), ("Basic another", "wrong_token"), (None, "no_token")],
)
def test_event_with_another_token_is_told_of_and_wakes_nobody(receiver, authorization, reason):
    assert refused_as(receiver, notification("raw/a b.csv"), authorization) == reason
    assert receiver.all_refused() == [("sales", "raw/a b.csv")]
    assert receiver.all_woken() == []


def test_event_with_the_right_token_is_not_told_of_as_refused(receiver):
    receiver.post(notification("raw/a.csv"))
    assert receiver.all_refused() == []


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"no event at all", {}, "no_event"),
        (b"{}", {}, "no_event"),
        (notification("raw/a.csv", "s3:ObjectRemoved:Delete"), {}, "no_event"),
        (b"", {}, "unread"),
        (notification("raw/a.csv").ljust(MAX_BYTES + 1), {}, "unread"),
        (notification("raw/a.csv"), {"Content-Type": "text/plain"}, "unread"),
        (gzip.compress(notification("raw/a.csv")), {"Content-Encoding": "gzip"}, "unread"),
    ],
)
def test_what_the_object_store_does_not_send_is_told_of_to_nobody(receiver, body, headers, reason):
    assert refused_as(receiver, body, **headers) == reason
    assert receiver.all_refused() == []


def test_longest_event_is_read(receiver):
    assert refused_as(receiver, notification("raw/a.csv").ljust(MAX_BYTES)) == "wrong_token"


HALF_AN_EVENT = (
    b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{"
)


def test_few_strangers_are_waited_for_at_once(receiver, monkeypatch, caplog):
    """The rest is refused unread, whoever has the token is let in, and nobody fills the log."""
    monkeypatch.setattr(refusing, "_SECONDS", 3600)
    before = counted_refused("unread")
    with ExitStack() as connections:
        for _ in range(10):
            connections.enter_context(connected_to(receiver)).sendall(HALF_AN_EVENT)
        until(lambda: counted_refused("unread") - before == 10 - refusing._AT_ONCE, seconds=20)
        assert receiver.post(notification("raw/a.csv")).status == 204
        assert counted_refused("unread") - before == 10 - refusing._AT_ONCE
    until(lambda: counted_refused("unread") - before == 10, seconds=20)
    assert refused_as(receiver, notification("raw/a.csv")) == "wrong_token"
    assert caplog.records == []


def test_stranger_is_not_waited_for_long(receiver, monkeypatch):
    monkeypatch.setattr(refusing, "_SECONDS", 0.1)
    with connected_to(receiver) as connection:
        connection.sendall(HALF_AN_EVENT)
        assert b" 401 " in connection.recv(1000)


@contextmanager
def connected_to(receiver):
    with (
        socket.create_connection(("127.0.0.1", receiver.port), timeout=20) as plain,
        receiver.trust().wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


# --- the token


def test_new_token_is_taken_at_once_and_the_old_one_no_more(receiver):
    mount(receiver.folder / "events", {"token": b"another"})
    assert receiver.post(b"{}", f"Bearer {TOKEN}").status == 401
    assert receiver.post(b"{}", "Bearer another").status == 204


@pytest.mark.parametrize("kind", ["empty", "blank", "missing"])
def test_without_a_token_nobody_is_let_in(receiver, kind, caplog):
    """Least of all somebody with an empty one. It is logged once, and mended without a restart."""
    file = receiver.folder / "events/token"
    file.unlink()
    if kind != "missing":
        file.write_text("" if kind == "empty" else " \n")
    for shown in ("Bearer ", "Bearer", "", f"Bearer {TOKEN}"):
        assert receiver.post(notification("raw/a.csv"), shown).status == 401
    assert [r.levelname for r in caplog.records if "token" in r.message] == ["ERROR"]
    assert TOKEN not in caplog.text
    file.write_text("restored")
    assert receiver.post(b"{}", "Bearer restored").status == 204


def test_2000_events_at_once_are_all_taken(receiver):
    """From 50 connections; nothing is lost or slow, and each object is told of once."""
    keys = [f"raw/{number}.csv" for number in range(2000)]

    async def post_all():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connector = aiohttp.TCPConnector(limit=50, ssl=receiver.trust())
        url = f"https://localhost:{receiver.port}/events"
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

            async def post(key):
                async with session.post(url, data=notification(key)) as answer:
                    return answer.status

            return await asyncio.gather(*map(post, keys))

    begin = time.monotonic()
    assert set(asyncio.run(post_all())) == {204}
    seconds = time.monotonic() - begin
    assert sorted(receiver.all_woken()) == sorted(("sales", key) for key in keys)
    assert seconds < 30


# --- probes, metrics, everything else -----------------------------------------------------------


@pytest.mark.parametrize(("path", "probe"), [("/healthz", "health"), ("/readyz", "readiness")])
def test_probe_tells_whether_all_is_well(receiver, path, probe):
    answer = receiver.get(path)
    assert (answer.status, answer.text) == (200, "ok")
    setattr(receiver.probes, probe, "a watch is silent")
    answer = receiver.get(path)
    assert (answer.status, answer.text) == (503, "a watch is silent")
    other = "/readyz" if path == "/healthz" else "/healthz"
    assert receiver.get(other).status == 200


def test_metrics_are_shown_as_prometheus_reads_them(receiver):
    receiver.post(b"{}")
    answer = receiver.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'sales_operator_events_total{result="ignored"}' in answer.text
    assert f'\n{EXPIRY}{{certificate="receiver"}} ' in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/", 404),
        ("POST", "/events/", 404),
        ("GET", "/events", 405),
        ("GET", "/metrics/../healthz/x", 404),
        ("DELETE", "/healthz", 405),
    ],
)
def test_nothing_else_is_served(receiver, method, path, status):
    answer = receiver.ask(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == status


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/metrics"])
def test_versions_are_nobodys_business(receiver, path):
    assert receiver.get(path).headers["Server"] == "sales-operator"


def test_requests_are_not_logged(receiver, caplog):
    """The log is for what needs somebody's eye; and keys would be in it."""
    caplog.set_level(logging.DEBUG)
    receiver.post(notification("raw/a.csv"))
    receiver.get("/healthz")
    assert [r for r in caplog.records if r.name.startswith(("aiohttp", "sales_operator"))] == []


@pytest.mark.parametrize("header", [f"Authorization Bearer {TOKEN}", f"X: {TOKEN}\0"])
def test_what_is_no_http_is_refused_and_not_logged(receiver, header, caplog):
    """The library would quote it, with whatever secret is in it."""
    caplog.set_level(logging.DEBUG)
    with (
        socket.create_connection(("127.0.0.1", receiver.port)) as plain,
        receiver.trust().wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(f"GET /healthz HTTP/1.1\r\n{header}\r\n\r\n".encode())
        assert b" 400 " in everything(connection)
    assert TOKEN not in caplog.text


def test_broken_probe_is_an_error_and_logged(receiver, caplog):
    receiver.probes.health = 1
    assert receiver.get("/healthz").status == 500
    assert "Error handling request" in caplog.text


# --- TLS ----------------------------------------------------------------------------------------


def shown_to(receiver, context=None):
    """The certificate that somebody who connects is shown."""
    context = context or receiver.trust()
    with (
        socket.create_connection(("127.0.0.1", receiver.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return connection.getpeercert(binary_form=True)


def ends_told():
    """When certificates end, by name, as the metrics say."""
    metrics = [metric for metric in REGISTRY.collect() if metric.name == EXPIRY]
    return {s.labels["certificate"]: s.value for metric in metrics for s in metric.samples}


def bring_other(receiver, ca, name, ends):
    """A certificate that another server shows, in the folder where its Secret is mounted."""
    leaf = ca.issue_cert("localhost", not_after=ends)
    folder = receiver.folder / "certificates" / name
    folder.parent.mkdir(exist_ok=True)
    chain = [*leaf.cert_chain_pems, ca.cert_pem]
    mount(folder, {"tls.crt": b"".join(pem.bytes() for pem in chain)})


def encrypted(key):
    """A private key that wants a password."""
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def der(file):
    return ssl.PEM_cert_to_DER_cert(file.read_text())


def everything(connection):
    """What comes until the other side hangs up."""
    with suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(4096), b""))
    return b""


def test_plain_text_is_refused(receiver):
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in everything(plain)
    assert receiver.get("/healthz").status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_protocols_are_refused(receiver):
    context = receiver.trust()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown_to(receiver, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_certificate_is_shown_without_a_restart(receiver, version):
    """To who connects by either version, also one that names no host; open connections go on."""
    context = receiver.trust()
    context.minimum_version = context.maximum_version = version
    first = shown_to(receiver, context)
    old = http.client.HTTPSConnection("localhost", receiver.port, context=receiver.trust())
    with closing(old):
        old.request("GET", "/healthz")
        assert old.getresponse().read() == b"ok"
        lay_out(receiver.folder, trustme.CA())
        context = receiver.trust()
        context.minimum_version = context.maximum_version = version
        assert shown_to(receiver, context) == der(receiver.folder / "tls/tls.crt") != first
        context.check_hostname = False
        with (
            socket.create_connection(("127.0.0.1", receiver.port)) as plain,
            context.wrap_socket(plain) as nameless,
        ):
            assert nameless.getpeercert(binary_form=True) == der(receiver.folder / "tls/tls.crt")
        old.request("GET", "/healthz")
        assert old.getresponse().read() == b"ok"


@pytest.mark.parametrize("kind", ["garbage", "other key", "missing", "encrypted"])
def test_broken_pair_leaves_the_old_one_in_use(receiver, kind, caplog):
    """It is logged once, however many connect, and a good pair is taken afterwards."""
    before = (receiver.folder / "tls/tls.crt").read_bytes()
    other = trustme.CA().issue_cert("localhost").private_key_pem.bytes()
    broken = {
        "garbage": {"tls.crt": b"nothing", "tls.key": b"nothing"},
        "other key": {"tls.crt": before, "tls.key": other},
        "missing": {},
        "encrypted": {
            "tls.crt": before,
            "tls.key": encrypted((receiver.folder / "tls/tls.key").read_bytes()),
        },
    }[kind]
    trust = receiver.trust()
    mount(receiver.folder / "tls", broken)
    for _ in range(3):
        assert shown_to(receiver, trust) == ssl.PEM_cert_to_DER_cert(before.decode())
    kept = [r for r in caplog.records if "keeps its old certificate" in r.message]
    assert [r.levelname for r in kept] == ["ERROR"]
    lay_out(receiver.folder, trustme.CA())
    assert shown_to(receiver) == der(receiver.folder / "tls/tls.crt")


def test_end_of_the_certificate_is_a_metric(receiver):
    """Of the one that is shown now; nothing is left of it once nobody serves."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    lay_out(receiver.folder, trustme.CA(), not_after=ends)
    assert ends_told() == {"receiver": ends.timestamp()}


def test_ends_of_others_are_told_as_they_are_when_somebody_asks(receiver):
    """Whatever comes, is renewed, or goes meanwhile, and whatever stands behind the first one."""
    day = datetime.now(UTC).replace(microsecond=0)
    ca = trustme.CA()
    bring_other(receiver, ca, "minio-tls", day + timedelta(days=1))
    bring_other(receiver, ca, "vault-tls", day + timedelta(days=2))
    ends = ends_told()
    assert ends["minio-tls"] == (day + timedelta(days=1)).timestamp()
    assert ends["vault-tls"] == (day + timedelta(days=2)).timestamp()
    bring_other(receiver, ca, "minio-tls", day + timedelta(days=90))
    shutil.rmtree(receiver.folder / "certificates/vault-tls")
    ends = ends_told()
    assert ends.keys() == {"minio-tls", "receiver"}
    assert ends["minio-tls"] == (day + timedelta(days=90)).timestamp()


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff"])
def test_what_is_no_certificate_counts_as_ended(receiver, content):
    """So that there is an alert, and the others are told all the same."""
    file = receiver.folder / "certificates/minio-tls/tls.crt"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    ends = ends_told()
    assert ends["minio-tls"] == 0
    assert ends["receiver"] > 0


@pytest.mark.parametrize("year", [2049, 2050, 2123])
def test_end_of_a_certificate_is_read_however_it_is_written(year):
    """From 2050 on years have four digits."""
    ends = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    leaf = trustme.CA().issue_cert("localhost", not_after=ends)
    assert not_after(leaf.cert_chain_pems[0].bytes().decode()) == ends


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
def test_without_a_certificate_it_does_not_start(laid_out, missing):
    """And says what is missing where; nothing of it stays behind."""
    (laid_out.folder / "tls" / missing).unlink()
    with pytest.raises(CertificateError, match=r"tls\.crt and .*tls\.key"), laid_out.up():
        pass
    assert ends_told() == {}


def test_address_in_use_is_an_error_and_nothing_stays_behind(receiver):
    second = Serving(receiver.folder, receiver.port, registry=CollectorRegistry())
    with pytest.raises(OSError, match="in use"), second.up():
        pass
    assert list(second.registry.collect()) == []
    assert receiver.get("/healthz").status == 200
