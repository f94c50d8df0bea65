"""The CustomResourceDefinition of SalesIngest, made of the models."""

from typing import Any, Final

from sales_api import names
from sales_api.ingest import SalesIngestSpec, SalesIngestStatus
from sales_api.structural import Schema, structural

_READY: Final = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS: Final = (
    ("Ready", "string", f"{_READY}.status", 0, "Whether all is well."),
    ("Pending", "integer", ".status.files.pending", 0, "Objects that wait."),
    ("Running", "integer", ".status.files.running", 0, "Objects in a run."),
    ("Loaded", "integer", ".status.rows.loaded", 0, "Rows loaded so far."),
    ("Rejected", "integer", ".status.rows.rejected", 0, "Rows rejected so far."),
    ("Schedule", "string", ".spec.trigger.schedule", 0, "Cron line of the scheduled run."),
    ("Last Success", "date", ".status.lastSuccessTime", 0, "Since a run last succeeded."),
    ("Age", "date", ".metadata.creationTimestamp", 0, "Since the ingest was made."),
    ("Reason", "string", f"{_READY}.reason", 1, "Why it is ready or not, in a word."),
    ("Message", "string", f"{_READY}.message", 1, "The same, and what to do about it."),
)
_TYPE: Final = {
    "apiVersion": {"description": f"{names.GROUP}/{names.VERSION}.", "type": "string"},
    "kind": {"description": f"{names.KIND}.", "type": "string"},
    "metadata": {"type": "object"},
}


def crd() -> dict[str, Any]:
    """The document that `kubectl apply` takes."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": _names(),
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _names() -> dict[str, Any]:
    return {
        "kind": names.KIND,
        "listKind": f"{names.KIND}List",
        "plural": names.PLURAL,
        "singular": names.KIND.lower(),
        "shortNames": [names.SHORT_NAME],
        "categories": [names.CATEGORY],
    }


def _version() -> dict[str, Any]:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
        "selectableFields": [{"jsonPath": ".spec.source.bucket"}],
        "schema": {"openAPIV3Schema": schema()},
    }


def _column(name: str, kind: str, path: str, priority: int, what: str) -> dict[str, Any]:
    shown = {"name": name, "type": kind, "description": what, "jsonPath": path}
    return shown | ({"priority": priority} if priority else {})


def schema() -> Schema:
    """The structural schema of a SalesIngest."""
    return {
        "description": "One source of sales files, and what is to become of them.",
        "type": "object",
        "required": ["spec"],
        "properties": {**_TYPE, "spec": _spec(), "status": _status()},
    }


def _spec() -> Schema:
    spec = structural(SalesIngestSpec)
    spec["properties"] = {"source": {}} | spec["properties"]  # first what every spec has
    columns = spec["properties"]["contract"]["properties"]["columns"]["properties"]
    for name, column in columns.items():
        absent = "1" if name == names.ORDER_LINE else "the file's column of this name"
        column["description"] = f"How {name} comes out of the file; left out: {absent}."
    return spec


def _status() -> Schema:
    """Without defaults: a status says what was seen, and nothing before that."""
    status = _without_defaults(structural(SalesIngestStatus))
    status["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return status


def _without_defaults(node: Schema) -> Schema:
    kept = {key: value for key, value in node.items() if key != "default"}
    if "properties" in node:
        fields = node["properties"].items()
        kept["properties"] = {name: _without_defaults(field) for name, field in fields}
    if "items" in node:
        kept["items"] = _without_defaults(node["items"])
    return kept
