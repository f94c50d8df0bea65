"""The platform in a namespace of its own, with certificates and credentials made for it."""

import base64
import os
import secrets
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import boto3
import psycopg
import yaml
from botocore.config import Config

from certs.cli import main as certs
from tests.docs.pages import ROOT
from tests.e2e.kube import CONTEXT, Manifest, Namespace

BUCKET = "sales"
KEY_BYTES = 32
CRD = ROOT / "manifests/crds/minidata.io_salesingests.yaml"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
SUPPLIER = {
    "policies": {
        "sales-supplier": [
            {
                "Sid": "Deliver",
                "Effect": "Allow",
                "Action": ["s3:PutObject"],
                "Resource": [f"arn:aws:s3:::{BUCKET}/raw/*"],
            }
        ]
    },
    "users": {
        "sales-supplier": {
            "existingSecret": "sales-supplier-object-store",
            "policies": ["sales-supplier"],
        }
    },
}
"""Whoever delivers files has a user of their own; installations name theirs like this."""


@dataclass(frozen=True)
class Installation:
    """A running platform, and all its secrets: the tests look for them where they must not be."""

    USERS: ClassVar[tuple[str, ...]] = ("sales-pipeline", "sales-operator", "sales-supplier")
    """Who has keys of the object store."""

    namespace: Namespace
    ca: Path
    passwords: dict[str, str]
    pseudonym_key: bytes

    @classmethod
    def make(cls, namespace: Namespace, folder: Path) -> Self:
        """Certificates, Secrets, all charts; returns when everything answers."""
        namespace.apply(yaml.safe_load(CRD.read_text("utf-8")))
        namespace.apply(restricted(namespace.name))
        certificates(namespace, folder)
        made = cls(namespace, folder / "ca.crt", {}, secrets.token_bytes(KEY_BYTES))
        made._write_secrets()
        made.install()
        return made

    def charts(self) -> dict[str, dict[str, Any]]:
        """The charts by name, and the values of each."""
        small = {"persistence": {"size": "1Gi"}, "resources": frugal("1Gi")}
        minio = small | SUPPLIER | {"webhook": webhook(self.namespace.name)}
        return {"minio": minio, "postgres": small, "operator": OPERATOR}

    def install(self) -> None:
        """Install or upgrade all charts."""
        charts = self.charts()
        with ThreadPoolExecutor() as side_by_side:
            list(side_by_side.map(self.namespace.install, charts, charts.values()))

    def _write_secrets(self) -> None:
        root, kms = self._password("root"), base64.b64encode(secrets.token_bytes(KEY_BYTES))
        lines = {
            "MINIO_ROOT_USER": "root-of-e2e",
            "MINIO_ROOT_PASSWORD": root,
            "MINIO_KMS_SECRET_KEY": f"sales:{kms.decode()}",
            "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES": (events := self._password("events")),
            "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALESNOW": events,
        }
        self.passwords["kms"] = kms.decode()
        environment = "".join(f"{name}={value}\n" for name, value in lines.items())
        self.namespace.secret("minio-server", **{"config.env": environment})
        self.namespace.secret("sales-operator-events", token=self.passwords["events"])
        for user in self.USERS:
            keys = {"access_key": user, "secret_key": self._password(user)}
            self.namespace.secret(f"{user}-object-store", **keys)
        for name, login in LOGINS.items():
            fields = {"username": login, "password": self._password(login)}
            self.namespace.secret(name, **fields)
        key = base64.b64encode(self.pseudonym_key).decode()
        self.passwords["pseudonym"] = key
        self.namespace.secret("sales-pipeline-pseudonym", key=key, key_version="1")

    def _password(self, name: str) -> str:
        self.passwords[name] = secrets.token_urlsafe(24)
        return self.passwords[name]

    @contextmanager
    def s3(self, user: str) -> Iterator[Any]:
        """An S3 client for one of the users, over TLS that is verified."""
        with self.namespace.forward("service/minio", 9000) as port:
            client = boto3.client(
                "s3",
                endpoint_url=f"https://localhost:{port}",
                region_name="us-east-1",
                aws_access_key_id="root-of-e2e" if user == "root" else user,
                aws_secret_access_key=self.passwords[user],
                verify=str(self.ca),
                config=Config(retries={"total_max_attempts": 2}),
            )
            yield client
            client.close()

    @contextmanager
    def database(self, login: str, **options: str) -> Iterator[psycopg.Connection]:
        """A connection as one of the logins, over TLS that is verified."""
        secure = {"sslmode": "verify-full", "sslrootcert": str(self.ca)}
        with (
            self.namespace.forward("service/postgres", 5432) as port,
            psycopg.connect(
                host="localhost",
                port=port,
                user=login,
                password=self.passwords[login],
                dbname="sales",
                autocommit=True,
                **(secure | options),
            ) as connection,
        ):
            yield connection

    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe the servers."""
        return ssl.create_default_context(cafile=self.ca)


LOGINS = {
    "postgres-superuser": "postgres",
    "postgres-owner": "sales_owner",
    "sales-pipeline-database": "sales_pipeline",
    "metabase-database": "metabase",
}
"""Secret -> the login in it."""


def frugal(memory: str, cpu: str = "30m") -> dict[str, Any]:
    """Resources that let several installations fit on a node with two cores."""
    return {"requests": {"cpu": cpu, "memory": "128Mi"}, "limits": {"memory": memory}}


OPERATOR = {
    # The definition is the whole cluster's, while each installation here goes with its namespace.
    "crds": {"enabled": False},
    "resyncSeconds": 30,
    "resources": frugal("512Mi", "50m"),
}


def webhook(namespace: str) -> dict[str, Any]:
    return {"enabled": True, "endpoint": f"https://operator.{namespace}.svc:8443/events"}


def restricted(name: str) -> Manifest:
    made_here = {"minidata.io/test": "e2e", "minidata.io/maker": str(os.getpid())}
    metadata = {"name": name, "labels": RESTRICTED | made_here}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def certificates(namespace: Namespace, folder: Path) -> None:
    place = ["--out", str(folder), "--namespace", namespace.name]
    assert certs(["issue", *place]) == 0
    assert certs(["apply", *place, "--context", CONTEXT]) == 0
