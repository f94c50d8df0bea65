"""The platform whose object store knows runs by their service account: the pipeline has no user."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sales_operator.web_identity import role_arn
from sales_pipeline.bucket import Bucket
from sales_pipeline.credentials import WebIdentity
from sales_pipeline.settings import Settings
from tests.charts.minio_identity import AUDIENCE, WITHOUT_KEYS
from tests.e2e.installation import BUCKET, SUPPLIER, Installation

ACCOUNT = "sales-pipeline"
_ON = {
    "minio": {"webIdentity": {"enabled": True}, "test": WITHOUT_KEYS["test"]}
    | {"users": SUPPLIER["users"] | WITHOUT_KEYS["users"]},
    "operator": {"objectStore": {"auth": "webIdentity"}},
}


@dataclass(frozen=True)
class Keyless(Installation):
    """A running platform without keys for runs."""

    USERS: ClassVar[tuple[str, ...]] = ("sales-operator", "sales-supplier")

    def charts(self) -> dict[str, dict[str, Any]]:
        return {name: values | _ON.get(name, {}) for name, values in super().charts().items()}

    @contextmanager
    def bucket(self, account: str, folder: Path, audience: str = AUDIENCE) -> Iterator[Bucket]:
        """The bucket, as whoever has a service account's token of this audience.

        Args:
            account: Its name.
            folder: Where the token is put.
            audience: Whom it is for.
        """
        asked = ("create", "token", account, f"--audience={audience}", "--duration=10m")
        token = folder / "token"
        token.write_text(self.namespace.kubectl(*asked))
        with self.namespace.forward("service/minio", 9000) as port:
            settings = Settings(s3_endpoint=f"https://localhost:{port}", s3_ca_file=self.ca)
            yield Bucket.connect(settings, WebIdentity(role_arn(AUDIENCE), token), BUCKET)
