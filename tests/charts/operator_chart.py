"""`charts/operator` as its tests see it."""

import yaml

from sales_operator.settings import Settings
from tests.charts.support import CHARTS, of_kind

CHART = CHARTS / "operator"
EVERYTHING = yaml.safe_load((CHART / "ci/everything-values.yaml").read_text("utf-8"))
ELSEWHERE = {"watchNamespaces": ["sales", "returns"]}
SECRETS = {
    "operator-tls": {"tls.crt", "tls.key"},
    "sales-operator-object-store": {"access_key", "secret_key"},
    "sales-operator-events": {"token"},
}
"""What the operator asks for."""
PUBLIC = {f"{name}-tls": {"tls.crt"} for name in ("minio", "postgres", "vault", "vault-injector")}
"""What it looks at where it is there."""


def settings_map(documents):
    """The ConfigMap with the operator's settings."""
    (found,) = (d for d in of_kind(documents, "ConfigMap") if "settings.yaml" in d["data"])
    return found


def settings_of(documents):
    """The settings, as the operator understands them."""
    return Settings.model_validate(yaml.safe_load(settings_map(documents)["data"]["settings.yaml"]))


def metadata_of(documents):
    """Kind, namespace and name of each object."""
    return [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents]
