"""The door to the object store: the only importer of boto3."""

import ssl
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, SSLError
from pydantic import ValidationError

from sales_api.request import ObjectRef
from sales_api.v1alpha1 import Source
from sales_operator import settings, store_problems
from sales_operator.observed import Problem
from sales_operator.store_problems import Fault
from sales_operator.subscriptions import merged

_CONNECT_SECONDS = 5
_READ_SECONDS = 15
_TRIES = 3


class StoreError(Exception):
    """The object store cannot be used as was asked; holds no driver's text, and no secret."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class _Login:
    """All that a client is made from and that may change while we run."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    authority: str = field(repr=False)


class Store:
    """The object store. For any number of threads; each call blocks until it is done.

    Keys and CA are read from their files at each call, so that rotated ones need no restart.

    Args:
        where: Endpoint, keys and CA.
        connections: How many calls may be under way before one waits for another.
    """

    def __init__(self, where: settings.ObjectStore, connections: int = 10) -> None:
        self._where = where
        self._connections = connections
        self._lock = Lock()
        self._login: _Login | None = None
        self._client: Any = None
        self._bucket_locks: dict[str, Lock] = {}

    def list(self, source: Source) -> Sequence[ObjectRef]:
        """The objects of a source that are wanted, as they are now, in any order.

        Raises:
            StoreError: They cannot be listed.
        """
        with self._asking(source.bucket) as client:
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=source.bucket, Prefix=source.prefix
            )
            return [
                _reference(entry)
                for page in pages
                for entry in page.get("Contents", [])
                if not entry["Key"].endswith("/") and source.wants(entry["Key"])
            ]

    def subscribe(self, bucket: str, prefixes: Collection[str], instance: str, target: str) -> None:
        """Have a bucket tell of new objects under exactly these prefixes; none ends it.

        Rules of others stay. The store offers no way to change a part, so a change that somebody
        else makes in the very moment between our reading and our writing is lost.

        Args:
            bucket: Its name.
            prefixes: Where objects shall be told of.
            instance: Which installation asks; rules of others are not touched.
            target: ARN of what is told.

        Raises:
            StoreError: The rules cannot be read or written.
        """
        # Two threads at one bucket would each write what the other one does not know of.
        lock = self._bucket_locks.setdefault(bucket, Lock())
        with lock, self._asking(bucket) as client:
            current = client.get_bucket_notification_configuration(Bucket=bucket)
            change = merged(current, prefixes, instance, target)
            if change is not None:
                client.put_bucket_notification_configuration(
                    Bucket=bucket, NotificationConfiguration=change
                )

    def close(self) -> None:
        """Let go of all connections. A later call opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._login = self._client = None

    # --- the client -----------------------------------------------------------------------------

    @contextmanager
    def _asking(self, bucket: str) -> Iterator[Any]:
        """A client whose errors are told in our words."""
        where = f"bucket {bucket} at {self._where.endpoint or 'the provider'}"
        try:
            yield self._current_client()
        except _Found as error:
            found = error.fault
        except ClientError as error:
            found = _fault_of(error)
        except ParamValidationError:
            found = store_problems.NO_SUCH_NAME
        except SSLError as error:
            found = _fault_of_tls(error)
        except (BotoCoreError, OSError, ValidationError):
            found = store_problems.UNREACHABLE
        else:
            return
        raise StoreError(found.at(where)) from None

    def _current_client(self) -> Any:
        login = _read_login(self._where)
        with self._lock:
            if login != self._login:
                # The old one may be in use; its connections close when nobody has it any more.
                self._client = self._connect(login)
                self._login = login
            return self._client

    def _connect(self, login: _Login) -> Any:
        verify = {"verify": str(self._where.ca_file)} if self._where.ca_file else {}
        try:
            # A session of its own: the default one is not for several threads.
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self._where.endpoint,
                region_name=self._where.region,
                aws_access_key_id=login.access_key,
                aws_secret_access_key=login.secret_key,
                config=Config(
                    retries={"total_max_attempts": _TRIES, "mode": "standard"},
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    max_pool_connections=self._connections,
                    s3={"addressing_style": "path"},
                ),
                **verify,
            )
        except ValueError:
            raise _Found(store_problems.BAD_ENDPOINT) from None


class _Found(Exception):  # noqa: N818 - on its way to StoreError, which knows the place
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def _read_login(where: settings.ObjectStore) -> _Login:
    folder = where.credentials
    return _Login(
        _key(folder / "access_key"), _key(folder / "secret_key"), _authority(where.ca_file)
    )


def _key(file: Path) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        raise _Found(store_problems.CREDENTIALS_MISSING)
    return text


def _authority(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_text("ascii", errors="ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (OSError, ValueError):
        raise _Found(store_problems.NO_AUTHORITY) from None
    return text


def _reference(entry: Any) -> ObjectRef:
    return ObjectRef(
        key=entry["Key"],
        etag=entry["ETag"],
        size=entry["Size"],
        modified_at=entry["LastModified"],
    )


def _fault_of_tls(error: BaseException | None) -> Fault:
    # Handshakes also fail for reasons that pass, such as a server that is about to stop.
    while error and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return store_problems.UNTRUSTED if error else store_problems.UNREACHABLE


def _fault_of(error: ClientError) -> Fault:
    details = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
    return store_problems.fault(
        str(details.get("Code", "")), status, str(details.get("Message", ""))
    )
