"""Which road is taken, and under which name an image is pulled."""

import socket
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cluster import roads
from cluster.roads import PUBLIC, Choice, Road, choose, find, registry_answers
from cluster.shell import ClusterError
from sales_pipeline.demo.ports import free_ports

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("mirror", ["", "mirror:5000"])
@pytest.mark.parametrize(
    ("wanted", "answers", "road", "reason"),
    [
        ("auto", True, Road.ONLINE, "{registry} answers"),
        ("auto", False, Road.PACKAGES, "{registry} does not answer"),
        ("online", False, Road.ONLINE, "as asked"),
        ("packages", True, Road.PACKAGES, "as asked"),
    ],
)
def test_the_open_road_is_taken_unless_another_is_asked_for(wanted, answers, road, reason, mirror):
    reason = reason.format(registry=mirror or PUBLIC)
    assert choose(wanted, mirror, answers=answers) == Choice(road, mirror, reason)


@pytest.mark.parametrize("wanted", ["offline", "", "ONLINE"])
def test_an_unknown_road_is_an_error_that_names_the_known(wanted):
    with pytest.raises(ClusterError) as caught:
        choose(wanted, "", answers=True)
    assert f"there is no road {wanted!r}" in str(caught.value)
    assert "Take auto, online or packages." in str(caught.value)


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("python:3.13-slim", "library/python:3.13-slim"),
        ("docker.io/library/postgres:18.6", "library/postgres:18.6"),
        ("docker.io/python:3", "library/python:3"),
        ("docker.io/kindest/node:v1", "kindest/node:v1"),
        ("localhost:9/a/b:1", "a/b:1"),
        ("pgsty/silo:R", "pgsty/silo:R"),
        ("pgsty/silo:1.2.3", "pgsty/silo:1.2.3"),
        ("quay.io/a/b/c:1", "a/b/c:1"),
    ],
)
def test_a_mirror_holds_images_under_their_own_paths(image, path):
    assert Choice(Road.ONLINE, "mirror:5000").source(image) == f"mirror:5000/{path}"
    assert Choice(Road.ONLINE).source(image) == image


@contextmanager
def web_server(status):
    """A server on loopback that answers everything with one status; the paths asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def mumbling_server():
    """A server on loopback that says something, and it is no HTTP."""

    def mumble():
        with server.accept()[0] as client:
            client.recv(1000)
            client.sendall(b"\x15\x03\x01\x00\x02\x02\x16\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=mumble)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(("status", "want"), [(200, True), (401, True), (404, False), (500, False)])
def test_a_registry_answers_also_if_it_wants_to_know_who_asks(status, want):
    with web_server(status) as (address, asked):
        assert registry_answers(address) is want
        assert asked == ["/v2/"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (PUBLIC, f"https://{PUBLIC}/v2/"),
        ("mirror:5000", "https://mirror:5000/v2/"),
        ("localhost:5000", "http://localhost:5000/v2/"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
        ("localhost.example", "https://localhost.example/v2/"),
    ],
)
def test_plain_http_is_spoken_on_loopback_only_and_nobody_is_waited_for_long(
    monkeypatch, host, url
):
    asked = []

    def refuse(_, wanted, timeout):
        asked.append((wanted, timeout))
        raise ConnectionRefusedError

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    assert registry_answers(host) is False
    assert asked == [(url, roads.ANSWER_SECONDS)]


def test_where_nobody_listens_nobody_answers():
    (port,) = free_ports(1)
    assert not registry_answers(f"127.0.0.1:{port}")


def test_what_does_not_speak_http_is_no_registry():
    with mumbling_server() as address:
        assert not registry_answers(address)


@pytest.mark.parametrize("host", ["mirror:port", "two words"])
def test_what_is_no_address_is_no_registry(host):
    assert not registry_answers(host)


def test_no_proxy_is_asked_for_what_is_on_loopback(monkeypatch):
    """Docker asks none either: the road must not depend on it."""
    (nobody,) = free_ports(1)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody}")
    with web_server(200) as (address, asked):
        assert registry_answers(address)
        assert asked == ["/v2/"]


@pytest.mark.parametrize(("status", "road"), [(200, Road.ONLINE), (500, Road.PACKAGES)])
def test_the_mirror_of_the_environment_decides(monkeypatch, status, road):
    with web_server(status) as (address, _):
        monkeypatch.setenv("MINIDATA_REGISTRY", address)
        chosen = find("auto")
        assert (chosen.road, chosen.mirror) == (road, address)


def test_without_a_mirror_the_public_registry_decides(monkeypatch):
    asked = []
    monkeypatch.setattr(roads, "registry_answers", lambda host: asked.append(host) or True)
    assert find("auto") == Choice(Road.ONLINE, "", f"{PUBLIC} answers")
    assert asked == [PUBLIC]


@pytest.mark.parametrize("road", list(Road))
def test_nobody_is_asked_when_the_road_is_given(monkeypatch, road):
    with web_server(500) as (address, asked):
        monkeypatch.setenv("MINIDATA_REGISTRY", address)
        assert find(road) == Choice(road, address, "as asked")
        assert asked == []
