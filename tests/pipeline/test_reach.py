"""Waiting for servers that take no connection yet, on real sockets."""

import contextlib
import socket
import threading
import time

import pytest

from sales_pipeline import reach
from sales_pipeline.errors import TemporaryError
from sales_pipeline.reach import Server
from sales_pipeline.settings import Settings


@contextlib.contextmanager
def listening(port=0):
    """A server on loopback that takes connections; tells its port."""
    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]


def free_port():
    """A port on which nobody listens."""
    with listening() as port:
        return port


def settings(port, seconds=0, **more):
    """With a database as the only server."""
    return Settings(db_host="127.0.0.1", db_port=port, reach_seconds=seconds, **more)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"db_host": "/run/postgresql"}, []),
        ({"db_host": "db", "db_port": 5433}, [Server("database", "db", 5433)]),
        (
            {"db_host": "/run", "s3_endpoint": "https://minio.sales.svc:9000"},
            [Server("object store", "minio.sales.svc", 9000)],
        ),
        (
            {"db_host": "/run", "s3_endpoint": "https://s3.example.com"},
            [Server("object store", "s3.example.com", 443)],
        ),
        ({"db_host": "/run", "s3_endpoint": "https://s3:port"}, []),
        ({"db_host": "/run", "s3_endpoint": "s3"}, []),
        ({"db_host": "/run", "vault_addr": "https://vault:8200"}, []),
        (
            {"db_host": "/run", "vault_addr": "https://vault:8200", "credentials": "agent"},
            [Server("Vault", "vault", 8200)],
        ),
    ],
)
def test_the_servers_that_a_run_connects_to(given, found):
    assert list(reach.servers(Settings(**given))) == found


class TestReach:
    def test_a_server_that_is_there(self):
        with listening() as port:
            reach.reach(settings(port))

    def test_nobody_there(self):
        port = free_port()
        with pytest.raises(TemporaryError) as raised:
            reach.reach(settings(port))
        assert raised.value.code == "network.unreachable"
        assert f"database 127.0.0.1:{port}" in str(raised.value)

    def test_one_that_comes_is_waited_for(self):
        """As a rule that lets the pod through comes: refused at first, taken later."""
        port, has_come = free_port(), threading.Event()

        def come_late():
            time.sleep(0.5)  # what is tested is a delay
            with listening(port):
                has_come.wait()

        late = threading.Thread(target=come_late)
        late.start()
        try:
            reach.reach(settings(port, seconds=30))
        finally:
            has_come.set()
            late.join()


class TestWait:
    def test_is_no_error(self):
        before = time.monotonic()
        reach.wait(settings(free_port(), seconds=1))
        assert time.monotonic() - before >= 1

    def test_without_a_time_nothing_is_tried(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            reach.wait(settings(server.getsockname()[1]))
            with pytest.raises(BlockingIOError):
                server.accept()
