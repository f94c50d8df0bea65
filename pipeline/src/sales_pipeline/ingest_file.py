"""Reads a SalesIngest manifest, as `kubectl apply` takes it, for use without a cluster."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sales_api.names import GROUP
from sales_api.request import RunRequest, explain
from sales_pipeline.errors import ConfigurationError

_PARTS = ("source", "format", "contract", "quality", "privacy")
"""The parts of the spec that decide what becomes of an object; the rest is the operator's."""


def read_ingest(path: Path, run: str) -> RunRequest:
    """The request that a SalesIngest stands for, without any objects yet.

    Args:
        path: A YAML file with one SalesIngest.
        run: The name of the run.

    Raises:
        ConfigurationError: The file cannot be read, or is not a SalesIngest.
    """
    document = _document(path)
    metadata, spec = document.get("metadata") or {}, document.get("spec") or {}
    request = {part: spec[part] for part in _PARTS if part in spec}
    ingest = f"{metadata.get('namespace', 'default')}/{metadata.get('name', '')}"
    try:
        return RunRequest.model_validate({"ingest": ingest, "run": run, **request})
    except ValidationError as error:
        raise _refused(explain(error), path) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError):
        raise _refused("the file cannot be read", path) from None
    except yaml.YAMLError:
        raise _refused("the file is not YAML", path) from None
    ingests = [d for d in documents if isinstance(d, dict) and d.get("kind") == "SalesIngest"]
    if len(ingests) != 1 or not str(ingests[0].get("apiVersion")).startswith(f"{GROUP}/"):
        raise _refused("the file does not hold exactly one SalesIngest", path)
    return ingests[0]


def _refused(what: str, path: Path) -> ConfigurationError:
    return ConfigurationError(
        what,
        where=str(path),
        mend="manifests/samples/ has examples of every case.",
        code="request.ingest",
    )
