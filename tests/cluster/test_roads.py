"""Which road is taken, and under which name an image is pulled."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cluster import pins
from cluster.roads import PUBLIC, Choice, Road, choose, find, registry_answers
from cluster.shell import ClusterError
from sales_pipeline.demo.ports import free_ports


@pytest.mark.parametrize(
    ("wanted", "answers", "road"),
    [
        ("auto", True, Road.ONLINE),
        ("auto", False, Road.PACKAGES),
        ("online", False, Road.ONLINE),
        ("packages", True, Road.PACKAGES),
    ],
)
def test_the_open_road_is_taken_unless_another_is_asked_for(wanted, answers, road):
    assert choose(wanted, "", answers=answers).road is road


@pytest.mark.parametrize("mirror", ["", "mirror:5000"])
def test_the_reason_names_the_registry(mirror):
    assert choose("auto", mirror, answers=True).reason == f"{mirror or PUBLIC} answers"


def test_an_unknown_road_is_an_error_that_names_the_known():
    with pytest.raises(ClusterError) as caught:
        choose("offline", "", answers=True)
    assert "Take auto, online or packages." in str(caught.value)


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("python:3.13-slim", "mirror:5000/library/python:3.13-slim"),
        ("docker.io/library/postgres:18.6", "mirror:5000/library/postgres:18.6"),
        ("docker.io/kindest/node:v1", "mirror:5000/kindest/node:v1"),
        ("localhost:9/a/b:1", "mirror:5000/a/b:1"),
        ("pgsty/silo:R", "mirror:5000/pgsty/silo:R"),
    ],
)
def test_a_mirror_holds_images_under_their_own_paths(image, want):
    assert Choice(Road.ONLINE, "mirror:5000").source(image) == want
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
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "want"), [(200, True), (401, True), (404, False), (500, False)])
def test_a_registry_answers_also_if_it_wants_to_know_who_asks(status, want):
    with web_server(status) as (address, asked):
        assert registry_answers(address) is want
        assert asked == ["/v2/"]


def test_where_nobody_listens_nobody_answers():
    (port,) = free_ports(1)
    assert not registry_answers(f"127.0.0.1:{port}")


def test_the_mirror_of_the_environment_decides(monkeypatch):
    with web_server(200) as (address, _):
        monkeypatch.setenv("MINIDATA_REGISTRY", address)
        assert find("auto") == Choice(Road.ONLINE, address, f"{address} answers")


def test_nobody_is_asked_when_the_road_is_given(monkeypatch):
    with web_server(200) as (address, asked):
        monkeypatch.setenv("MINIDATA_REGISTRY", address)
        assert find("packages").road is Road.PACKAGES
        assert asked == []
    assert pins.NODE_IMAGE.startswith("docker.io/kindest/node:")
