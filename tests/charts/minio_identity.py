"""A server of `charts/minio` that takes tokens in place of keys, and who may show which."""

from pathlib import Path
from typing import Any

from sales_operator.web_identity import role_arn
from tests.charts.minio_cluster import MinioCluster
from tests.charts.support import NAMESPACE
from tests.support.issuer import Issuer

AUDIENCE = "minio"
ROLE = role_arn(AUDIENCE)
RUN = f"system:serviceaccount:{NAMESPACE}:sales-pipeline"
STRANGER = f"system:serviceaccount:{NAMESPACE}:default"
WITHOUT_KEYS = {"users": {"sales-pipeline": None}, "test": {"writer": ""}}
"""The pipeline has no user, so there are no keys that it could have."""


class IdentityCluster(MinioCluster):
    """One whose server believes an issuer."""

    def __init__(self, root: Path, issuer: Issuer) -> None:
        super().__init__(root)
        self.issuer = issuer
        self.values: dict[str, Any] = {
            "webIdentity": {"enabled": True, "configUrl": issuer.config_url}
        } | WITHOUT_KEYS
        self.secrets["kube-root-ca.crt"] = {"ca.crt": issuer.ca_pem}
