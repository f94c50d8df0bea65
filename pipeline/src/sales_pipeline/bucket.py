"""The door to the object store: the only importer of boto3.

Who has no keys shows the store the service account's token, and has keys for it that end with the
token; boto3 asks for new ones in time, with the token that is in the file by then.

An object is always read and moved as the version (or, without versions, the ETag) that it was
listed as, so that an upload under the same key in between is neither read as it nor lost with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self
from urllib.parse import quote

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.credentials import AssumeRoleWithWebIdentityProvider, CredentialResolver
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from sales_api.request import ObjectRef
from sales_pipeline.credentials import ObjectStoreLogin, WebIdentity
from sales_pipeline.errors import ConfigurationError, PipelineError, TemporaryError
from sales_pipeline.settings import Settings

CHUNK_BYTES = 1024 * 1024
_MULTIPART_BYTES = 512 * 1024 * 1024
_GONE = {"NoSuchKey", "NoSuchVersion", "404", "412", "PreconditionFailed", "MethodNotAllowed"}
_DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden"}
_LOGIN = "AssumeRoleWithWebIdentity"
_SERVERS_FAULT = 500
_CONFIG = Config(
    retries={"max_attempts": 5, "mode": "standard"},
    connect_timeout=10,
    read_timeout=60,
    s3={"addressing_style": "path"},
)


class Readable(Protocol):
    """What can be stored: anything that gives bytes, a file or a stream made on the way."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        ...


class ObjectGoneError(Exception):
    """The object, or the content it was listed with, is there no more."""


class Bucket:
    """One bucket of the object store."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    @classmethod
    def connect(cls, settings: Settings, login: ObjectStoreLogin | WebIdentity, name: str) -> Self:
        """A bucket under these settings; nothing is sent yet.

        Raises:
            ConfigurationError: The endpoint is not a URL.
        """
        options: dict[str, Any] = {
            "endpoint_url": settings.s3_endpoint,
            "region_name": settings.s3_region,
            "verify": str(settings.s3_ca_file) if settings.s3_ca_file else None,
        }
        try:
            client = _session(login, options).client("s3", config=_CONFIG, **options)
        except ValueError:
            raise ConfigurationError(
                "the endpoint is not a URL",
                where="SALES_S3_ENDPOINT",
                mend="Write it like https://minio.minidata.svc:9000.",
                code="bucket.endpoint",
            ) from None
        return cls(client, name)

    def list(self, prefix: str) -> Iterator[ObjectRef]:
        """The objects under a prefix as they are now, in the order of their keys."""
        with self._translated_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", []):
                    if not entry["Key"].endswith("/"):
                        yield ObjectRef(
                            key=entry["Key"],
                            etag=entry["ETag"],
                            size=entry["Size"],
                            modified_at=entry["LastModified"],
                        )

    def current(self, ref: ObjectRef) -> ObjectRef:
        """The object with its version, if the bucket keeps versions.

        Raises:
            ObjectGoneError: There is no such object, or it has other content by now.
        """
        try:
            with self._translated_errors(ref.key):
                head = self._client.head_object(
                    Bucket=self.name, Key=ref.key, IfMatch=ref.etag, **_version(ref)
                )
        except ObjectGoneError:
            self._require()
            raise
        return ObjectRef(
            key=ref.key,
            version_id=ref.version_id or _real_version(head.get("VersionId")),
            etag=head["ETag"],
            size=head["ContentLength"],
            modified_at=ref.modified_at,
        )

    def _require(self) -> None:
        """Tell a bucket that is missing from an object that is: a HEAD answers both with 404."""
        try:
            with self._translated_errors(self.name):
                self._client.head_bucket(Bucket=self.name)
        except ObjectGoneError:
            raise self._refused("the bucket does not exist", "bucket.missing") from None

    def head(self, key: str) -> ObjectRef | None:
        """What lies under a key, or None."""
        try:
            with self._translated_errors(key):
                head = self._client.head_object(Bucket=self.name, Key=key)
        except ObjectGoneError:
            return None
        return ObjectRef(
            key=key,
            version_id=_real_version(head.get("VersionId")),
            etag=head["ETag"],
            size=head["ContentLength"],
            modified_at=head["LastModified"],
        )

    def read(self, ref: ObjectRef) -> Iterator[bytes]:
        """The bytes of an object as it was listed.

        Raises:
            ObjectGoneError: It has other content by now, or is gone.
            TemporaryError: The connection broke.
        """
        with self._translated_errors(ref.key):
            answer = self._client.get_object(
                Bucket=self.name, Key=ref.key, IfMatch=ref.etag, **_version(ref)
            )
            yield from answer["Body"].iter_chunks(CHUNK_BYTES)

    def put(self, key: str, content: Readable, content_type: str) -> None:
        """Store a document of ours."""
        with self._translated_errors(key):
            self._client.upload_fileobj(
                content, self.name, key, ExtraArgs={"ContentType": content_type}
            )

    def move(self, ref: ObjectRef, to_key: str, origin: ObjectRef) -> None:
        """Move an object as it was listed; doing it again, or from the middle, ends the same.

        Args:
            ref: The object where it lies.
            to_key: Its new place.
            origin: What it was when it first came, written into its metadata.

        Raises:
            ObjectGoneError: It is neither at its old place nor at its new one.
        """
        try:
            self._copy(ref, to_key, origin)
        except ObjectGoneError:
            if self.head(to_key) is None:
                raise
            return
        self._delete(ref)

    def delete(self, key: str) -> None:
        """Remove a document of ours, if it is there."""
        if self.head(key) is None:
            # Deleting what is not there would leave a marker in a bucket with versions.
            return
        with self._translated_errors(key):
            self._client.delete_object(Bucket=self.name, Key=key)

    def _copy(self, ref: ObjectRef, to_key: str, origin: ObjectRef) -> None:
        source = {"Bucket": self.name, "Key": ref.key, **_version(ref)}
        extra: dict[str, Any] = {
            "MetadataDirective": "REPLACE",
            "Metadata": {
                # Enough to build the ledger anew from the archive alone. ASCII, as headers are.
                "original-key": quote(origin.key),
                "original-modified-at": origin.modified_at.isoformat(),
            },
            "CopySourceIfMatch": ref.etag,
        }
        with self._translated_errors(ref.key):
            if ref.size < _MULTIPART_BYTES:
                self._client.copy_object(Bucket=self.name, Key=to_key, CopySource=source, **extra)
                return
            # Asked first: the managed copy begins with a look of its own, which has no condition.
            self._client.head_object(
                Bucket=self.name, Key=ref.key, IfMatch=ref.etag, **_version(ref)
            )
            self._client.copy(
                source,
                self.name,
                to_key,
                ExtraArgs=extra,
                Config=TransferConfig(multipart_threshold=_MULTIPART_BYTES, use_threads=False),
            )

    def _delete(self, ref: ObjectRef) -> None:
        # By version: a plain delete would hide whatever was uploaded meanwhile. Without versions
        # the condition does the same on stores that know it.
        condition = _version(ref) or {"IfMatch": ref.etag}
        try:
            with self._translated_errors(ref.key):
                self._client.delete_object(Bucket=self.name, Key=ref.key, **condition)
        except ObjectGoneError:
            return

    @contextmanager
    def _translated_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._store_error(error, key) from None
        except ParamValidationError:
            raise self._refused("the name is not one of a bucket", "bucket.name") from None
        except (BotoCoreError, OSError) as error:
            raise self._unreachable(type(error).__name__) from None

    def _store_error(self, error: ClientError, key: str) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        if error.operation_name == _LOGIN and status < _SERVERS_FAULT:
            return self._stranger()
        if code == "NoSuchBucket":
            return self._refused("the bucket does not exist", "bucket.missing")
        if code in _GONE:
            return ObjectGoneError(key)
        if code in _DENIED or status in {401, 403}:
            return self._refused("access is denied", "bucket.denied")
        return self._unreachable(code or str(status))

    def _refused(self, what: str, code: str) -> ConfigurationError:
        return ConfigurationError(
            what,
            where=f"bucket {self.name} at {self._client.meta.endpoint_url}",
            mend="Check source.bucket, SALES_S3_ENDPOINT, and the secret `object-store` or,"
            " with SALES_S3_AUTH=webIdentity, the policy of the service account.",
            code=code,
        )

    def _stranger(self) -> ConfigurationError:
        return ConfigurationError(
            "the service account's token is not taken: it is of another audience or issuer,"
            " expired, or the role is not known",
            where=f"the object store at {self._client.meta.endpoint_url}",
            mend="Check SALES_S3_ROLE, and the audience of the token in SALES_S3_TOKEN_FILE.",
            code="identity.refused",
        )

    def _unreachable(self, why: str) -> PipelineError:
        where = f"bucket {self.name} at {self._client.meta.endpoint_url}"
        if "SSL" in why:
            return ConfigurationError(
                "the server's certificate is not trusted",
                where=where,
                mend="Set SALES_S3_CA_FILE to the CA that signed it.",
                code="bucket.tls",
            )
        return TemporaryError(
            f"the object store failed ({why})",
            where=where,
            mend="Nothing is lost: run again once it is up.",
            code="bucket.unreachable",
        )


def _session(login: ObjectStoreLogin | WebIdentity, options: dict[str, Any]) -> boto3.Session:
    """One that has the login's credentials and no others, whatever there is in the environment."""
    if isinstance(login, ObjectStoreLogin):
        return boto3.Session(
            aws_access_key_id=login.access_key.get_secret_value(),
            aws_secret_access_key=login.secret_key.get_secret_value(),
        )
    core = botocore.session.Session()

    def create(service: str, *, config: Config) -> Any:
        return core.create_client(service, config=_CONFIG.merge(config), **options)

    profile = {"role_arn": login.role, "web_identity_token_file": str(login.token_file)}
    provider = AssumeRoleWithWebIdentityProvider(
        load_config=lambda: {"profiles": {"run": profile}},
        client_creator=create,
        profile_name="run",
        disable_env_vars=True,
    )
    core.register_component("credential_provider", CredentialResolver([provider]))
    return boto3.Session(botocore_session=core)


def _version(ref: ObjectRef) -> dict[str, str]:
    return {"VersionId": ref.version_id} if ref.version_id else {}


def _real_version(version_id: str | None) -> str | None:
    # "null" is what a bucket without versions, or from before it had them, calls the only one.
    return None if version_id in {None, "", "null"} else version_id
