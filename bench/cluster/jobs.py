"""The Jobs of a namespace as the API server tells of them, and when it did, by our own clock."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from bench.cluster.api import Api
from sales_api.names import MANAGED_BY, REQUEST_ENV
from sales_operator.jobs import unquote

_FINAL = {"Complete", "Failed"}


class NotMeasuredError(Exception):
    """Something kept a measure from being taken; the text says what."""


@dataclass(frozen=True)
class SeenJob:
    """A Job that was heard of."""

    name: str
    keys: tuple[str, ...]
    """The objects it was made for; none for a sweep."""
    seen_at: float
    """When the watch first told of it, by `time.monotonic`."""
    ending: str = ""
    """Complete or Failed; empty while it is live."""


class Jobs:
    """Grows while its watch runs; all that it gives away is a snapshot."""

    def __init__(self) -> None:
        self._jobs: dict[str, SeenJob] = {}
        self._keys: set[str] = set()
        self._news = threading.Condition()
        self._ended = ""

    @classmethod
    @contextmanager
    def watched(cls, api: Api, namespace: str) -> Iterator[Self]:
        """The Jobs of the operator in a namespace, from now on."""
        jobs = cls()
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        query = {"labelSelector": f"app.kubernetes.io/managed-by={MANAGED_BY}"}
        events = api.watch(path, query)
        # Not joined: it ends with its connection, and that with the namespace or with us.
        threading.Thread(target=jobs.follow, args=(events,), daemon=True).start()
        yield jobs

    def follow(self, events: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Take in what a watch tells, to its end."""
        why = "cut off"
        try:
            for kind, document in events:
                self._take(kind, document, time.monotonic())
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for it
            # Told by whoever waits: this is a thread of its own.
            why = f"{type(error).__name__}: {error}"
        with self._news:
            self._ended = why
            self._news.notify_all()

    def _take(self, kind: str, document: Mapping[str, Any], now: float) -> None:
        if kind == "ERROR":
            raise NotMeasuredError(str(document.get("message")))
        if kind == "DELETED":
            return
        uid = document["metadata"]["uid"]
        with self._news:
            before = self._jobs.get(uid)
            self._jobs[uid] = SeenJob(
                name=document["metadata"]["name"],
                keys=before.keys if before else keys_of(document["spec"]["template"]),
                seen_at=before.seen_at if before else now,
                ending=ending_of(document),
            )
            self._keys.update(self._jobs[uid].keys)
            self._news.notify_all()

    def all(self) -> list[SeenJob]:
        """Those heard of so far, deleted ones included."""
        with self._news:
            return list(self._jobs.values())

    def launched(self) -> int:
        """How many different objects were named in a Job so far; cheap, also with thousands."""
        with self._news:
            return len(self._keys)

    def of(self, key: str) -> list[SeenJob]:
        """Those made for an object, the first one first."""
        return sorted((job for job in self.all() if key in job.keys), key=lambda job: job.seen_at)

    def wait(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds of the Jobs; asked whenever there is news of them.

        Raises:
            NotMeasuredError: It did not come about in time, or the watch ended.
        """
        deadline = time.monotonic() + seconds
        while not holds():
            with self._news:
                left = deadline - time.monotonic()
                if self._ended:
                    raise NotMeasuredError(f"{what}: the watch of Jobs ended ({self._ended})")
                if left <= 0:
                    raise NotMeasuredError(f"{what}: not so after {seconds:.0f} s")
                # A second at most: news may have come between the question and this.
                self._news.wait(min(left, 1))


def keys_of(template: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the objects that a pod is asked to load."""
    for container in template["spec"]["containers"]:
        for variable in container.get("env", []):
            if variable["name"] == REQUEST_ENV:
                request = json.loads(unquote(variable["value"]))
                return tuple(item["key"] for item in request.get("objects", []))
    return ()


def ending_of(job: Mapping[str, Any]) -> str:
    """Complete or Failed; empty for a Job that may still do something."""
    conditions = job.get("status", {}).get("conditions", [])
    held = (c["type"] for c in conditions if c["status"] == "True")
    return next((kind for kind in held if kind in _FINAL), "")


def launches_by_key(jobs: Iterable[SeenJob]) -> dict[str, int]:
    """Of each key, for how many Jobs it was named."""
    found: dict[str, int] = {}
    for job in jobs:
        for key in job.keys:
            found[key] = found.get(key, 0) + 1
    return found
