"""`charts/platform` as its tests see it: what it installs, and the runs that its operator makes."""

from collections.abc import Mapping
from typing import Any

from sales_operator import jobs
from sales_operator.observed import Launch
from tests.charts.operator_chart import settings_of
from tests.charts.support import NAMESPACE, UMBRELLA, Document, render, value_sets
from tests.operator.making import an_ingest, an_object

SETS = value_sets(UMBRELLA)


def installed(values: Mapping[str, Any] | None = None) -> list[Document]:
    """The documents of the umbrella, and those of the operator that it installs."""
    documents = render(UMBRELLA, values)
    return documents + runs(documents)


def runs(documents: list[Document]) -> list[Document]:
    """A Job and a CronJob as the operator makes them by its settings; none where there is none."""
    if not any("settings.yaml" in document.get("data", {}) for document in documents):
        return []
    pipeline = settings_of(documents).pipeline
    ingest = an_ingest(namespace=NAMESPACE)
    sweep = jobs.cron_job(ingest, pipeline)
    assert sweep
    return [jobs.job(ingest, Launch((an_object(),), 1), pipeline), sweep]
