"""What a test needs to break things, and to see that nothing was lost and nothing done twice."""

import contextlib
import http
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from sales_api.ingest import SalesIngestStatus, parse_status
from sales_api.names import MANAGED_BY, REQUEST_ENV
from sales_api.request import RunRequest
from sales_operator.jobs import unquote
from sales_pipeline.generate import GenerateSpec, Tally, iter_csv
from tests.charts.support import program
from tests.e2e.ingests import Ingest, LateError, until
from tests.e2e.installation import BUCKET, Installation
from tests.e2e.kube import CONTEXT, Manifest, Namespace

RESYNC_SECONDS = 33
"""The longest time between two resyncs of the installation."""
ROWS = 5
"""Of each file: that there are many is what matters here."""
_SECONDS = 240
_THREADS = 10
_SEED = 77
_FIRST_ROWS = itertools.count(step=100_000)
_OPERATOR_PODS = "app.kubernetes.io/component=operator"


def tell(text: str) -> None:
    """Show a figure to whoever looks on (`pytest -s`)."""
    sys.stdout.write(f"\n{text}\n")


# --- ingests and their files --------------------------------------------------------------------

_LEDGER = """
SELECT o.key, o.status, o.rows_loaded, count(f.order_id)
FROM ingest_object AS o LEFT JOIN fact_sales AS f USING (object_id)
WHERE o.key = ANY(%s) GROUP BY o.object_id
"""


@dataclass(frozen=True)
class Crowd:
    """Many ingests, and many small files for them."""

    installation: Installation
    names: list[str]
    files: dict[str, bytes]
    """Content by key, such that neighbours are of different ingests."""
    supplier: Any

    @classmethod
    @contextmanager
    def of(
        cls, installation: Installation, name: str, ingests: int, each: int, **spec: Any
    ) -> Iterator[Self]:
        """Ingests that are ready, and go with the block; their files are not put yet.

        Args:
            installation: Where they are.
            name: Theirs begin with it; one that no other test has.
            ingests: How many.
            each: How many files for each.
            spec: What is asked for beyond source, schedule and resources.
        """
        names = [f"{name}-{number:02}" for number in range(ingests)]
        keys = [f"raw/{ingest}/{number:03}.csv" for number in range(each) for ingest in names]
        # No two crowds bring the same orders, or one would take rows from another.
        set_ = GenerateSpec(ROWS, files=len(keys), seed=_SEED, start_row=next(_FIRST_ROWS))
        bodies = (b"".join(iter_csv(set_, index, Tally())) for index in range(len(keys)))
        with installation.s3("sales-supplier") as s3:
            made = cls(installation, names, dict(zip(keys, bodies, strict=True)), s3)
            made._create(spec)
            try:
                yield made
            finally:
                installation.namespace.kubectl("delete", "salesingests", *names, timeout=120)

    def _create(self, spec: dict[str, Any]) -> None:
        namespace = self.installation.namespace
        namespace.apply(*(Ingest(self.installation, n).manifest(**spec) for n in self.names))
        ready = ("wait", *(f"salesingest/{name}" for name in self.names))
        for condition in ("Ready", "EventsReady"):
            namespace.kubectl(*ready, f"--for=condition={condition}", "--timeout=90s", timeout=100)

    def put(self, keys: Iterable[str] | None = None) -> float:
        """Put these files, or all, as fast as may be; in how many seconds."""
        wanted = list(self.files if keys is None else keys)
        began = time.monotonic()
        with ThreadPoolExecutor(_THREADS) as side_by_side:
            sent = [side_by_side.submit(self._put, key) for key in wanted]
        for one in sent:
            one.result()
        return time.monotonic() - began

    def _put(self, key: str) -> None:
        self.supplier.put_object(Bucket=BUCKET, Key=key, Body=self.files[key])

    def statuses(self) -> list[SalesIngestStatus]:
        """What each ingest tells."""
        found = self.installation.namespace.get("salesingests")["items"]
        return [
            parse_status(item.get("status", {}))
            for item in found
            if item["metadata"]["name"] in self.names
        ]

    def ledger(self) -> list[tuple[str, str, int, int]]:
        """What the warehouse holds of these files: key, status, rows as counted, rows in fact."""
        with self.installation.database("metabase") as connection:
            return sorted(connection.execute(_LEDGER, [list(self.files)]).fetchall())

    def done(self, jobs: "JobWatch", seconds: float = _SECONDS) -> None:
        """Wait until all are loaded and counted, and see that each was so exactly once."""
        jobs.launched(self.files, seconds)
        until(self._is_counted, seconds)
        until(lambda: jobs.have_ended(self.files))
        jobs.assert_each_run_once(self.files)
        assert self.ledger() == [(key, "loaded", ROWS, ROWS) for key in sorted(self.files)]
        told = [status.files for status in self.statuses()]
        assert sum(files.loaded for files in told) == len(self.files)
        assert sum(files.quarantined + files.failed for files in told) == 0
        assert sum(status.rows.loaded for status in self.statuses()) == len(self.files) * ROWS

    def _is_counted(self) -> bool:
        """Whether all is done as far as the statuses tell; what they tell may be too much."""
        statuses = self.statuses()
        loaded = sum(status.files.loaded for status in statuses)
        return loaded >= len(self.files) and all(map(_is_settled, statuses))


def _is_settled(status: SalesIngestStatus) -> bool:
    is_at_it = {c.type: c.status for c in status.conditions}.get("Reconciling") != "False"
    return not (is_at_it or status.active_jobs or status.files.pending or status.files.running)


# --- the Jobs, all of them ----------------------------------------------------------------------


@dataclass
class SeenJob:
    """A Job that has been there, also if it is gone by now."""

    name: str
    attempt: int
    made_at: str
    objects: frozenset[tuple[str, str]]
    """Key and identity of each that it was made for."""
    end: str = ""
    """Complete, Failed, or nothing yet."""
    ended_at: str = ""
    was_cut: bool = False
    """Whether it was deleted before it had ended."""


class JobWatch:
    """Every Job that the operator made while the block ran; asked of the API server itself."""

    def __init__(self) -> None:
        self._jobs: dict[str, SeenJob] = {}
        self.heard = 0
        """How much has been told so far."""

    @classmethod
    @contextmanager
    def on(cls, namespace: Namespace) -> Iterator[Self]:
        """Watch all Jobs of the operator in a namespace from now on."""
        path = f"/apis/batch/v1/namespaces/{namespace.name}/jobs"
        path += f"?labelSelector=app.kubernetes.io%2Fmanaged-by%3D{MANAGED_BY}"
        now = json.loads(namespace.kubectl("get", f"--raw={path}&limit=1"))
        path += f"&watch=1&timeoutSeconds=3600&resourceVersion={now['metadata']['resourceVersion']}"
        argv = [program("kubectl"), f"--context={CONTEXT}", "get", f"--raw={path}"]
        made = cls()
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            threading.Thread(target=made._follow, args=(process.stdout,), daemon=True).start()
            try:
                yield made
            finally:
                process.terminate()

    def _follow(self, lines: Iterable[str]) -> None:
        for line in lines:
            told = json.loads(line)
            if told["type"] in {"ADDED", "MODIFIED", "DELETED"}:
                self._take(told["object"], is_gone=told["type"] == "DELETED")

    def _take(self, job: Manifest, *, is_gone: bool) -> None:
        metadata = job["metadata"]
        seen = self._jobs.get(metadata["uid"]) or _seen(job)
        seen.end, seen.ended_at = _end_of(job)
        seen.was_cut |= not seen.end and (is_gone or "deletionTimestamp" in metadata)
        self._jobs[metadata["uid"]] = seen
        self.heard += 1

    def of(self, keys: Collection[str]) -> list[SeenJob]:
        """Those made for any of these keys."""
        return [job for job in list(self._jobs.values()) if any(k in keys for k, _ in job.objects)]

    def hear(self, more: int, seconds: float) -> None:
        """Wait until so much more was told; but not for longer."""
        with contextlib.suppress(LateError):
            before = self.heard
            until(lambda: self.heard >= before + more, seconds)

    def launched(self, keys: Collection[str], seconds: float) -> None:
        """Wait until each of these keys has had a Job."""
        until(lambda: set(keys) <= self._keys(), seconds)

    def _keys(self) -> set[str]:
        return {key for job in list(self._jobs.values()) for key, _ in job.objects}

    def assert_each_run_once(self, keys: Collection[str]) -> None:
        """See that no Job was ended by others, and that no object had a Job too many.

        Where a pod could not be started, its Job fails, and the next attempt is no Job too many.
        """
        made = sorted(self.of(keys), key=lambda job: job.attempt)
        assert [job.name for job in made if job.was_cut] == []
        jobs_of: dict[tuple[str, str], list[SeenJob]] = {}
        for job in made:
            for item in job.objects:
                jobs_of.setdefault(item, []).append(job)
        assert sorted(key for key, _ in jobs_of) == sorted(keys)
        assert [jobs for jobs in jobs_of.values() if jobs[-1].end != "Complete"] == []
        pairs = itertools.chain.from_iterable(map(pairwise, jobs_of.values()))
        assert [pair for pair in pairs if not _is_in_turn(*pair)] == []

    def have_ended(self, keys: Collection[str]) -> bool:
        """Whether none of those made for these keys lives."""
        return all(job.end or job.was_cut for job in self.of(keys))


def _is_in_turn(earlier: SeenJob, later: SeenJob) -> bool:
    """Whether one was made because the other had failed by itself, and not beside it."""
    is_next = later.attempt == earlier.attempt + 1
    return is_next and earlier.end == "Failed" and earlier.ended_at <= later.made_at


def _seen(job: Manifest) -> SeenJob:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    values = {variable["name"]: variable.get("value", "") for variable in container["env"]}
    request = RunRequest.from_json(unquote(values[REQUEST_ENV]))
    return SeenJob(
        name=job["metadata"]["name"],
        attempt=request.attempt,
        made_at=job["metadata"]["creationTimestamp"],
        objects=frozenset((item.key, item.identity) for item in request.objects),
    )


def _end_of(job: Manifest) -> tuple[str, str]:
    """Complete or Failed, and since when."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return condition["type"], condition["lastTransitionTime"]
    return "", ""


# --- the operator in its pods -------------------------------------------------------------------


@dataclass(frozen=True)
class Receivers:
    """A line to each replica's receiver."""

    lines: list[urllib3.HTTPSConnectionPool]
    token: str

    @classmethod
    @contextmanager
    def of(cls, installation: Installation) -> Iterator[Self]:
        """Those that run at the beginning of the block."""
        pods = installation.namespace.get("pods", f"--selector={_OPERATOR_PODS}")["items"]
        with contextlib.ExitStack() as stack:
            lines = []
            for pod in pods:
                target = f"pod/{pod['metadata']['name']}"
                port = stack.enter_context(installation.namespace.forward(target, 8443))
                line = urllib3.HTTPSConnectionPool(
                    "localhost", port, maxsize=_THREADS, ca_certs=str(installation.ca)
                )
                lines.append(stack.enter_context(line))
            yield cls(lines, installation.passwords["events"])

    def parted(self) -> tuple[Self, Self]:
        """The line to the replica that leads, and those to the others."""
        leads = {line: self._of(line, "sales_operator_is_leader")[""] for line in self.lines}
        leader, others = (
            replace(self, lines=[line for line in self.lines if leads[line] == wanted])
            for wanted in (1, 0)
        )
        return leader, others

    def post(self, keys: Iterable[str]) -> None:
        """Tell each of them of these objects, one event for each."""
        headers = {"Authorization": f"Bearer {self.token}"}

        def tell_of(key: str) -> None:
            for line in self.lines:
                answer = line.request("POST", "/events", body=_event(key), headers=headers)
                assert answer.status == http.HTTPStatus.NO_CONTENT

        with ThreadPoolExecutor(_THREADS) as side_by_side:
            list(side_by_side.map(tell_of, keys))

    def sums(self, metric: str, *labels: str) -> Counter[str]:
        """A metric by the values of some of its labels, summed over these replicas."""
        return sum((self._of(line, metric, *labels) for line in self.lines), Counter())

    def _of(self, line: urllib3.HTTPSConnectionPool, metric: str, *labels: str) -> Counter[str]:
        text = line.request("GET", "/metrics").data.decode()
        found: Counter[str] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == metric:
                    found[" ".join(sample.labels[label] for label in labels)] += round(sample.value)
        return found


def _event(key: str) -> bytes:
    where = {"bucket": {"name": BUCKET}, "object": {"key": key}}
    record = {"eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put", "s3": where}
    whole = {"EventName": record["eventName"], "Key": f"{BUCKET}/{key}", "Records": [record]}
    return json.dumps(whole).encode()
