"""A SalesIngest of a test: applied, fed and watched from outside, as its owner would."""

import contextlib
import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from sales_api import names
from sales_pipeline.generate import GenerateSpec, Tally, iter_csv
from tests.charts.support import program
from tests.e2e.installation import BUCKET, Installation
from tests.e2e.kube import CONTEXT, Manifest, Namespace
from tests.support import waiting
from tests.support.checksum import CUSTOMERS, FACTS, PRODUCTS, Star
from tests.support.sales_file import sale
from tests.support.waiting import LateError

T = TypeVar("T")
Check = Callable[[Manifest], bool]

SECONDS = 90
"""How long a test waits for what should take a few seconds, on a machine that others use too."""
PAUSE_SECONDS = 0.25
SMALL = {
    "resources": {
        "requests": {"cpu": "20m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    }
}
"""So that many runs fit on a node with two cores."""

_OWN_FACTS = f"SELECT * FROM ({FACTS}) AS f WHERE product_category = %(category)s"
_OWN_CUSTOMERS = f"""
SELECT * FROM ({CUSTOMERS}) AS c WHERE email_hash IN (SELECT email_hash FROM ({_OWN_FACTS}) AS own)
"""
_OWN_PRODUCTS = f"SELECT * FROM ({PRODUCTS}) AS p WHERE product_category = %(category)s"
_COUNT = """
SELECT count(*) FROM fact_sales JOIN ingest_object USING (object_id) WHERE ingest = %s
"""
_LOCKED = """
SELECT 1 FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid::bigint << 32 | objid::bigint IN (
    SELECT hashtextextended('object:' || object, 0) FROM unnest(%s::text[]) AS object
)
"""


@dataclass(frozen=True)
class Ingest:
    """A SalesIngest with prefixes of its own: `raw/NAME/` and the places that follow from it."""

    installation: Installation
    name: str

    @classmethod
    def make(cls, installation: Installation, name: str, **spec: Any) -> "Ingest":
        """Apply one, and wait until it is ready."""
        made = cls(installation, name)
        made.apply(**spec)
        made.wait("condition=Ready")
        return made

    @property
    def namespace(self) -> Namespace:
        """Where it is."""
        return self.installation.namespace

    @property
    def prefix(self) -> str:
        """Where its objects land."""
        return f"raw/{self.name}/"

    # --- the resource

    @property
    def source(self) -> Manifest:
        """Its part of the bucket."""
        return {
            "bucket": BUCKET,
            "prefix": self.prefix,
            "processedPrefix": f"processed/{self.name}/",
            "quarantinePrefix": f"quarantine/{self.name}/",
        }

    def manifest(self, **spec: Any) -> Manifest:
        """It, with small runs and no schedule unless `spec` (camelCase) says otherwise."""
        usual = {"trigger": {"schedule": ""}, "job": SMALL}
        return {
            "apiVersion": f"{names.GROUP}/{names.VERSION}",
            "kind": names.KIND,
            "metadata": {"name": self.name},
            "spec": usual | {"source": self.source} | spec,
        }

    def apply(self, **spec: Any) -> None:
        """Create it, or make its spec this."""
        self.namespace.apply(self.manifest(**spec))

    def patch(self, **spec: Any) -> None:
        """Change a part of its spec."""
        text = json.dumps({"spec": spec})
        self.namespace.kubectl("patch", "si", self.name, "--type=merge", f"--patch={text}")

    def get(self) -> Manifest:
        """It, as the API server has it."""
        return self.namespace.get("si", self.name)

    def status(self) -> Manifest:
        """What is told of it."""
        status: Manifest = self.get().get("status", {})
        return status

    def wait(self, what: str, seconds: int = SECONDS) -> None:
        """`kubectl wait --for=...`, such as `condition=Ready`."""
        words = ("wait", f"si/{self.name}", f"--for={what}", f"--timeout={seconds}s")
        self.namespace.kubectl(*words, timeout=seconds + 10)

    def until(self, check: Check, seconds: int = SECONDS) -> Manifest:
        """The first status that passes; it is followed by a watch, as the operator writes it.

        Raises:
            LateError: None did in time. The text has the last one.
        """
        seen: Manifest = {}
        with watch(self.namespace, seconds, "si", self.name) as items:
            for item in items:
                seen = item.get("status", {})
                if seen and check(seen):
                    return seen
        raise LateError(f"{self.name}: not within {seconds} s; {json.dumps(seen, indent=1)}")

    def until_done(self, files: int, seconds: int = SECONDS) -> Manifest:
        """The status once so many objects, since it was made, are in their final place."""
        return self.until(lambda status: is_done(status, files), seconds)

    def happenings(self) -> Counter[str]:
        """How often each reason was told of it as an Event; one that came twice counts twice."""
        told: Counter[str] = Counter()
        for event in self.events():
            told[event["reason"]] += event.get("count") or 1
        return told

    def events(self) -> list[Manifest]:
        """Its Events."""
        about = f"--field-selector=involvedObject.kind={names.KIND},involvedObject.name={self.name}"
        items: list[Manifest] = self.namespace.get("events", about)["items"]
        return items

    # --- its runs

    @property
    def selector(self) -> str:
        """What selects its Jobs and their pods."""
        return f"--selector={names.LABEL_INGEST}={self.name}"

    def jobs(self) -> list[Manifest]:
        """Its Jobs, the oldest first."""
        items: list[Manifest] = self.namespace.get("jobs", self.selector)["items"]
        return sorted(items, key=lambda job: str(job["metadata"]["creationTimestamp"]))

    def pods(self) -> list[Manifest]:
        """The pods of its Jobs."""
        items: list[Manifest] = self.namespace.get("pods", self.selector)["items"]
        return items

    def until_job(self, check: Check, seconds: int = SECONDS) -> Manifest:
        """The first Job that passes, as it was then.

        Raises:
            LateError: None did in time.
        """
        with watch(self.namespace, seconds, "jobs", self.selector) as items:
            for item in items:
                if check(item):
                    return item
        raise LateError(f"{self.name}: no such Job within {seconds} s")

    def until_at_work(self, seconds: int = SECONDS) -> str:
        """The name of a Job whose pod is at work now."""
        return str(self.until_job(is_at_work, seconds)["metadata"]["name"])

    def until_reading(self, seconds: int = SECONDS) -> str:
        """The name of a Job that is in the middle of an object: the ledger holds its lock."""
        objects = [f"{BUCKET}/{self.prefix}{name}" for name in self.keys("raw")]
        with self.installation.database("metabase") as connection:
            until(lambda: connection.execute(_LOCKED, [objects]).fetchone(), seconds)
        return next(str(job["metadata"]["name"]) for job in self.jobs() if not ended(job))

    # --- its objects

    def put(self, files: Mapping[str, bytes]) -> None:
        """Have files delivered by their supplier, in this order."""
        with self.installation.s3("sales-supplier") as s3:
            for name, body in files.items():
                s3.put_object(Bucket=BUCKET, Key=self.prefix + name, Body=body)

    def keys(self, place: str) -> list[str]:
        """What lies below `raw`, `processed` or `quarantine`, without the prefix."""
        prefix = f"{place}/{self.name}/"
        with self.installation.s3("root") as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
            return [
                one["Key"].removeprefix(prefix)
                for page in pages
                for one in page.get("Contents", [])
            ]

    # --- its rows

    @property
    def identity(self) -> str:
        """What the ledger calls it."""
        return f"{self.namespace.name}/{self.name}"

    def ledger(self) -> list[dict[str, Any]]:
        """What the ledger has of it, in the order of the commits."""
        query = "SELECT * FROM ingest_object WHERE ingest = %s ORDER BY committed_at, object_id"
        with self.installation.database("metabase") as connection:
            return (
                connection.cursor(row_factory=dict_row).execute(query, [self.identity]).fetchall()
            )

    def facts(self) -> int:
        """How many facts of the star its objects have brought."""
        with self.installation.database("metabase") as connection:
            (number,) = connection.execute(_COUNT, [self.identity]).fetchone() or (0,)
            return int(number)


# --- statuses and Jobs


def is_done(status: Manifest, files: int) -> bool:
    """Whether so many objects are loaded or refused, and nothing goes on."""
    counts = status.get("files", {})
    ended = counts.get("loaded", 0) + counts.get("quarantined", 0)
    return ended >= files and holds(status, "Reconciling", "False")


def condition(status: Manifest, kind: str) -> Manifest:
    """One condition of a status; empty if it is not there."""
    return next((c for c in status.get("conditions", []) if c["type"] == kind), {})


def holds(status: Manifest, kind: str, value: str = "True") -> bool:
    """Whether a condition has this value."""
    return condition(status, kind).get("status") == value


def is_at_work(job: Manifest) -> bool:
    """Whether a Job's pod is at work."""
    return bool(job["status"].get("ready"))


def ended(job: Manifest) -> str:
    """`Complete` or `Failed`; empty while it is neither."""
    found = (c["type"] for c in job["status"].get("conditions", []) if c["status"] == "True")
    return next((kind for kind in found if kind in {"Complete", "Failed"}), "")


# --- waiting


@contextlib.contextmanager
def watch(namespace: Namespace, seconds: int, *what: str) -> Iterator[Iterator[Manifest]]:
    """Objects as they are, and again whenever they change, until so much time is over."""
    argv = [program("kubectl"), f"--context={CONTEXT}", f"--namespace={namespace.name}"]
    argv += ["get", *what, "--watch", "--output=jsonpath={@}{'\\n'}"]
    argv += [f"--request-timeout={seconds}s"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield (json.loads(line) for line in process.stdout or ())
        finally:
            process.terminate()


def until(ask: Callable[[], T], seconds: float = SECONDS) -> T:
    """The first answer that is true, of what can only be asked again and again.

    Raises:
        LateError: There was none in time. The text has the last one.
    """
    return waiting.until(ask, seconds, PAUSE_SECONDS)


# --- the operator


def scale(namespace: Namespace, what: str, replicas: int, seconds: int = SECONDS) -> None:
    """Give a Deployment or StatefulSet so many pods, and wait until it is so."""
    namespace.kubectl("scale", what, f"--replicas={replicas}")
    words = ("rollout", "status", what, f"--timeout={seconds}s")
    namespace.kubectl(*words, timeout=seconds + 10)
    if not replicas:
        # Its own pods, and not that of `helm test`, which stays.
        labels = namespace.get(what)["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        wait = ("wait", "pods", f"--selector={selector}", "--for=delete", f"--timeout={seconds}s")
        namespace.kubectl(*wait, timeout=seconds + 10)


@contextlib.contextmanager
def away(namespace: Namespace, what: str, replicas: int) -> Iterator[None]:
    """Have a Deployment or StatefulSet without pods while the block runs, whatever happens."""
    scale(namespace, what, 0)
    try:
        yield
    finally:
        scale(namespace, what, replicas, seconds=180)


# --- files and their rows


def order_id(category: str, number: int) -> str:
    """One of ten characters that no other category has."""
    return f"{hashlib.sha256(category.encode()).hexdigest()[:4]}{number:06}"


def sales_of(category: str, numbers: Iterable[int], **changes: object) -> list[dict[str, str]]:
    """A valid row for each number. Customers and articles are of this category alone."""
    return [
        sale(
            order_id(category, number),
            **{
                "customer_email": f"c{number % 7}@{category}.example",
                "product_title": f"Article {number % 5}",
                "product_category": category,
                "is_best_seller": "True",
                **changes,
            },
        )
        for number in numbers
    ]


def large_file(seed: int, rows: int = 300_000) -> bytes:
    """A file that keeps a run at work for seconds; other seeds (below 676), other orders."""
    return b"".join(iter_csv(GenerateSpec(rows, seed=seed), 0, Tally()))


def own_star(connection: psycopg.Connection, category: str) -> Star:
    """The part of the star that is about articles of a category."""
    about = {"category": category}
    queries = (_OWN_FACTS, _OWN_CUSTOMERS, _OWN_PRODUCTS)
    return Star(*(sorted(connection.execute(query, about).fetchall()) for query in queries))
