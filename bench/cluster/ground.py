"""The ground all measures stand on: one installation of the platform, in a namespace of its own."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from botocore.handlers import add_expect_header

from bench.cluster.api import Api
from bench.cluster.fake_nodes import OURS
from bench.cluster.replicas import Replicas
from sales_api.names import GROUP, KIND, PLURAL, VERSION
from tests.docs.pages import ROOT
from tests.e2e.dump import dump
from tests.e2e.installation import BUCKET, OPERATOR, Installation
from tests.e2e.kube import CONTEXT, Manifest, Namespace, call

RESYNC_SECONDS = 300
"""The operator's default: the tests' shorter one would find objects that no event told of."""

_MARK = ",".join(f"{name}={value}" for name, value in OURS.items())
_NEVER = "0 0 1 1 *"
"""A schedule, so that there is a CronJob, at a time when nobody measures."""


@dataclass(frozen=True)
class Ground:
    """The running platform."""

    installation: Installation
    api: Api
    replicas: Replicas

    @property
    def namespace(self) -> Namespace:
        """Where it runs."""
        return self.installation.namespace

    @classmethod
    @contextmanager
    def prepare(cls, folder: Path) -> Iterator[Self]:
        """Install everything; remove it afterwards, also what an earlier run has left."""
        leftovers = ("delete", "namespaces,nodes", f"--selector={_MARK}")
        call("kubectl", f"--context={CONTEXT}", *leftovers, timeout=900)
        namespace = Namespace(f"minidata-bench-{secrets.token_hex(3)}")
        api = Api.connect(folder)
        try:
            made = Installation.make(namespace, folder / "certificates")
            # By its first label it would go when end-to-end tests begin.
            namespace.kubectl("label", "namespace", namespace.name, _MARK, "--overwrite")
            yield cls(made, api, Replicas(api, namespace))
        except BaseException as error:
            error.add_note(dump(namespace, ROOT / "out" / "bench-cluster" / namespace.name))
            raise
        finally:
            gone = ("delete", "namespace", namespace.name, "--ignore-not-found")
            namespace.kubectl(*gone, timeout=900)

    @contextmanager
    def supplier(self) -> Iterator[Any]:
        """An S3 client of whoever delivers files, such that one connection serves many uploads."""
        with self.installation.s3("sales-supplier") as s3:
            # With this header boto3 gives up its connection after every other upload.
            s3.meta.events.unregister("before-call.s3", add_expect_header)
            yield s3

    @property
    def kubernetes(self) -> str:
        """The cluster's version."""
        return str(self.api.get("/version")["gitVersion"])

    def configure(self, **values: Any) -> None:
        """Set the operator up: as a user would have it but for these values."""
        self.namespace.install("operator", OPERATOR | {"resyncSeconds": RESYNC_SECONDS} | values)

    def ingest(self, name: str, **spec: Any) -> None:
        """Create an ingest of all below `raw/NAME/`."""
        document: Manifest = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "metadata": {"name": name},
            "spec": {
                "source": {"bucket": BUCKET, "prefix": prefix_of(name)},
                "trigger": {"schedule": _NEVER},
                **spec,
            },
        }
        self.api.create(self._ingests, document)

    def wait_for_ingests(self, condition: str = "Ready", seconds: int = 300) -> None:
        """Wait until this condition of all ingests is true."""
        how = (f"--for=condition={condition}", f"--timeout={seconds}s")
        self.namespace.kubectl("wait", PLURAL, "--all", *how, timeout=seconds + 30)

    def statuses(self) -> list[Manifest]:
        """The status of each ingest."""
        return [item.get("status", {}) for item in self.api.get(self._ingests)["items"]]

    def clear(self) -> None:
        """Delete all ingests with their Jobs."""
        self.namespace.kubectl("delete", PLURAL, "--all", "--cascade=foreground", timeout=900)

    @property
    def _ingests(self) -> str:
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace.name}/{PLURAL}"


def prefix_of(ingest: str) -> str:
    """Where the objects of an ingest wait."""
    return f"raw/{ingest}/"
