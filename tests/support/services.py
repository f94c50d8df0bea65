"""What tests do with the embedded servers: fresh buckets and databases, certificates, sockets."""

import http
import http.client
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import trustme
from botocore.exceptions import ClientError

from sales_pipeline.demo.postgres_server import PostgresServer
from sales_pipeline.demo.s3_server import S3Server


@dataclass(frozen=True)
class Database:
    """A database that lives as long as one test."""

    name: str
    postgres: PostgresServer

    @property
    def host(self) -> str:
        return self.postgres.host

    @property
    def port(self) -> int:
        return self.postgres.port

    def dsn(self, user: str = "postgres", password: str | None = None) -> str:
        return self.postgres.dsn(self.name, user, password)


@dataclass(frozen=True)
class Certificates:
    """A certificate for loopback, its key, and the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path


@contextmanager
def fresh_database(postgres: PostgresServer) -> Iterator[Database]:
    """A pristine database, dropped afterwards whoever is still connected."""
    name = unique("test")
    postgres.create_database(name)
    try:
        yield Database(name, postgres)
    finally:
        postgres.start_again()
        postgres.drop_database(name)


@contextmanager
def fresh_bucket(s3: S3Server, *, versioned: bool = True) -> Iterator[str]:
    """An empty bucket; this server deletes its objects, and frees their space, along with it."""
    name = unique("test").replace("_", "-")
    s3.create_bucket(name, versioned=versioned)
    try:
        yield name
    finally:
        s3.start_again()
        with closing(s3.client()) as client:
            client.delete_bucket(Bucket=name)


def unique(prefix: str) -> str:
    """A name that no other test has, valid for databases and roles."""
    return f"{prefix}_{secrets.token_hex(6)}"


def status_of(error: ClientError) -> int:
    """The HTTP status behind an error of boto3."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def versions_of(client: Any, bucket: str, key: str) -> list[str]:
    """The ids of an object's versions, newest first, delete markers left out."""
    listing = client.list_object_versions(Bucket=bucket, Prefix=key)
    return [version["VersionId"] for version in listing.get("Versions", [])]


def tcp_listeners(pid: int) -> set[tuple[str, int]]:
    """Where a process and its children accept TCP connections."""
    server = psutil.Process(pid)
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in (server, *server.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


def serves_stranger(port: int, path: str) -> bool:
    """Whether a loopback port hands out a path to somebody without any credentials."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status < http.HTTPStatus.BAD_REQUEST
        except (OSError, http.client.HTTPException):
            return False


def make_certificates(folder: Path) -> Certificates:
    """An authority made on the spot and a certificate for loopback signed by it."""
    made = Certificates(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(made.authority)
    leaf.cert_chain_pems[0].write_to_path(made.certificate)
    leaf.private_key_pem.write_to_path(made.key)
    return made
