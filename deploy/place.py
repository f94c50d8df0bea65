"""Where an installation is, and what lies on this machine for it."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
OUT = REPOSITORY / "out"
CHART = REPOSITORY / "charts" / "platform"
LOCAL_VALUES = REPOSITORY / "manifests" / "kind" / "platform.yaml"
ACCOUNTS = REPOSITORY / "manifests" / "kind" / "accounts.yaml"
DEFINITION = REPOSITORY / "manifests" / "crds" / "minidata.io_salesingests.yaml"
SAMPLE = REPOSITORY / "manifests" / "samples" / "default.yaml"
HELPER = REPOSITORY / "manifests" / "quickstart.sh"

INGEST = "sales"
"""Name of the sample SalesIngest."""
BUCKET = "sales"
LABELS = {"app.kubernetes.io/managed-by": "minidata-deploy"}
"""Of what is made here and not by Helm; a namespace without them is never removed."""


@dataclass(frozen=True)
class Place:
    """One release in one namespace of one cluster.

    Args:
        context: Of the kubeconfig.
        namespace: Where everything is.
        release: What Helm calls it.
    """

    context: str
    namespace: str
    release: str

    @property
    def folder(self) -> Path:
        """What is made on this machine for it."""
        return OUT / self.namespace

    @property
    def certificates(self) -> Path:
        """Where its CA and its certificates are."""
        return self.folder / "certs"

    @property
    def client(self) -> Path:
        """The configuration of `mc`, with the supplier's key."""
        return self.folder / "mc"

    @property
    def options(self) -> str:
        """The words that name it on the command line, where they are not the defaults."""
        words = []
        if self.context != DEFAULT.context:
            words += ["--context", self.context]
        if self.namespace != DEFAULT.namespace:
            words += ["--namespace", self.namespace]
        if self.release != DEFAULT.release:
            words += ["--release", self.release]
        return " ".join(words)


DEFAULT = Place("kind-minidata", "minidata", "minidata")
