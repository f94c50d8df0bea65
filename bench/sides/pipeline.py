"""Our side: everything that waits in the bucket, from the sweep to the last object archived."""

from collections.abc import Callable
from typing import Any

from sales_api.report import Fate
from sales_api.request import RunRequest
from sales_api.v1alpha1 import Source
from sales_pipeline.batch import connections, first_readings, process_all, sweep
from sales_pipeline.settings import read_settings


def prepare(job: dict[str, Any]) -> Callable[[], int]:
    """Settings and request are there; connections are not, they belong to the work."""
    settings = read_settings()
    source = Source(bucket=job["bucket"])
    request = RunRequest(ingest="bench/bench", run="bench", source=source)

    def work() -> int:
        with connections(settings, source.bucket) as opened:
            found = sweep(opened.doors().bucket, source)
            results = list(process_all(first_readings(found), request, opened))
        wrong = [result.key for result in results if result.fate is not Fate.LOADED or result.error]
        if wrong or len(results) != job["files"]:
            raise RuntimeError(f"not all was loaded: {wrong[:3]}, {len(results)} files")
        return sum(result.rows.read for result in results)

    return work
