"""The Job that runs one request, as the design has it and as the operator is going to make it."""

from collections.abc import Mapping

from sales_api.request import RunRequest
from tests.e2e.kube import Manifest

IMAGE = "docker.io/minidata/sales-pipeline:0.1.0"
CREDENTIALS = {
    "database": "sales-pipeline-database",
    "object-store": "sales-pipeline-object-store",
    "pseudonym": "sales-pipeline-pseudonym",
}
SETTINGS = {
    "SALES_S3_ENDPOINT": "https://minio:9000",
    "SALES_S3_CA_FILE": "/ca/ca.crt",
    "SALES_DB_HOST": "postgres",
    "SALES_DB_NAME": "sales",
    "SALES_DB_SSL_ROOT_CERT": "/ca/ca.crt",
    "SALES_TERMINATION_LOG": "/dev/termination-log",
}


def pipeline_job(name: str, request: RunRequest, more: Mapping[str, str]) -> Manifest:
    """A Job whose one pod does what the request says, in a namespace that restricts pods.

    Args:
        name: Of the Job.
        request: What it must do.
        more: Settings on top of, or in place of, the installation's own.
    """
    labels = {"app.kubernetes.io/name": "sales-pipeline", "app.kubernetes.io/part-of": "minidata"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 300,
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(SETTINGS | request.to_env() | more),
            },
        },
    }


def _pod(environment: Mapping[str, str]) -> Manifest:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(environment)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "ca", "configMap": {"name": "minidata-ca"}},
            *(
                {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}}
                for name, secret in CREDENTIALS.items()
            ),
        ],
    }


def _container(environment: Mapping[str, str]) -> Manifest:
    return {
        "name": "pipeline",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "ca", "mountPath": "/ca", "readOnly": True},
            *(
                {"name": name, "mountPath": f"/vault/secrets/{name}", "readOnly": True}
                for name in CREDENTIALS
            ),
        ],
    }
