"""The door to the API server: plain documents in and out, failures as one kind of error.

The only importer of the Kubernetes client. kopf, which watches, has a client of its own.
"""

import json
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any, Final, Self

import aiohttp
from kubernetes_asyncio import client, config

from sales_api import names
from sales_operator.documents import owner_of
from sales_operator.metrics import API_REQUESTS
from sales_operator.observed import IngestKey

Manifest = dict[str, Any]

TIMEOUT_SECONDS: Final = 30
_PAGE: Final = 500
_MERGE: Final = "application/merge-patch+json"
_APPLY: Final = "application/apply-patch+yaml"
OURS: Final = f"app.kubernetes.io/managed-by={names.MANAGED_BY}"
"""Selects the Jobs of runs, on the server."""


class ClusterError(Exception):
    """The API server refused, or could not be asked; the text is fit for a log and a condition."""

    def __init__(self, what: str, status: int = 0) -> None:
        super().__init__(what)
        self.status = status
        """HTTP status of the refusal; 0: no answer came."""

    @property
    def is_lasting(self) -> bool:
        """Whether asking again in the same way will be refused again."""
        again = {HTTPStatus.CONFLICT, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
        return 400 <= self.status < 500 and self.status not in again  # noqa: PLR2004


def always() -> bool:
    """The guard of whoever shares nothing with other replicas."""
    return True


class Cluster:
    """What the operator asks of the API server.

    Args:
        api: A client that is set up.
        may_write: Asked before each request that changes something: whoever has lost the Lease
            must not act any more, even if it has not heard of that yet.
    """

    def __init__(self, api: client.ApiClient, may_write: Callable[[], bool] = always) -> None:
        self._api = api
        self._may_write = may_write

    @classmethod
    async def connect(cls) -> Self:
        """In a pod by its service account, elsewhere by kubeconfig.

        Raises:
            ClusterError: There is neither.
        """
        found = client.Configuration()
        try:
            try:
                config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
            except config.ConfigException:
                await config.load_kube_config(client_configuration=found)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(f"no way to the API server: {type(error).__name__}") from None
        return cls(client.ApiClient(found))

    def guarded(self, may_write: Callable[[], bool]) -> "Cluster":
        """The same door, with a guard on what changes something."""
        return Cluster(self._api, may_write)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._api.close()

    # --- what is there

    async def ingests(self, namespaces: Collection[str]) -> list[Manifest]:
        """All SalesIngests of these namespaces, or of all where none is named."""
        return await self._list(_GROUP, names.PLURAL, namespaces)

    async def jobs(self, namespaces: Collection[str]) -> list[Manifest]:
        """All Jobs of runs, likewise."""
        return await self._list(_BATCH, "jobs", namespaces, OURS)

    async def pods_of_runs(self, namespaces: Collection[str]) -> list[Manifest]:
        """The pods of all runs, likewise."""
        return await self._list("/api/v1", "pods", namespaces, OURS)

    async def pods_of(self, namespace: str, job: str) -> list[Manifest]:
        """The pods of one Job."""
        return await self._list("/api/v1", "pods", [namespace], f"job-name={job}")

    async def _list(
        self, api: str, plural: str, namespaces: Collection[str], selector: str = ""
    ) -> list[Manifest]:
        found: list[Manifest] = []
        for place in [f"/namespaces/{n}" for n in namespaces] or [""]:
            query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
            while True:
                page = await self._call("GET", f"{api}{place}/{plural}", query=query)
                found += page["items"]
                if not (following := page["metadata"].get("continue")):
                    break
                query["continue"] = following
        return found

    # --- Jobs and CronJobs

    async def create_job(self, job: Manifest) -> Manifest:
        """Create a Job, or adopt the one that is there by this name already.

        Raises:
            ClusterError: It is refused, or somebody else's Job has the name.
        """
        place = _namespaced(_BATCH, "jobs", job["metadata"]["namespace"])
        try:
            return await self._call("POST", place, body=job)
        except ClusterError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        there = await self._call("GET", f"{place}/{job['metadata']['name']}")
        if owner_of(there) != owner_of(job):
            raise ClusterError(f"the name {job['metadata']['name']} is taken by another's Job", 422)
        return there

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Job with its pods, unless it is gone or another one by now."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        await self._delete(f"{_namespaced(_BATCH, 'jobs', namespace)}/{name}", options)

    async def cron_jobs(self, namespaces: Collection[str]) -> list[Manifest]:
        """All CronJobs of ingests, in these namespaces or in all."""
        return await self._list(_BATCH, "cronjobs", namespaces, OURS)

    async def cron_job(self, namespace: str, name: str) -> Manifest | None:
        """A CronJob, or None."""
        return await self._get(f"{_namespaced(_BATCH, 'cronjobs', namespace)}/{name}")

    async def apply_cron_job(self, cron_job: Manifest) -> Manifest:
        """Bring a CronJob to what is given, by server-side apply."""
        metadata = cron_job["metadata"]
        return await self._call(
            "PATCH",
            f"{_namespaced(_BATCH, 'cronjobs', metadata['namespace'])}/{metadata['name']}",
            query={"fieldManager": names.MANAGED_BY, "force": "true"},
            body=cron_job,
            content=_APPLY,
        )

    async def delete_cron_job(self, namespace: str, name: str) -> None:
        """Delete a CronJob, if it is there; a run that it began finishes."""
        place = f"{_namespaced(_BATCH, 'cronjobs', namespace)}/{name}"
        await self._delete(place, {"propagationPolicy": "Orphan"})

    async def _delete(self, place: str, options: Manifest) -> None:
        try:
            await self._call("DELETE", place, body=options)
        except ClusterError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise

    # --- ingests and events

    async def patch_status(
        self, key: IngestKey, resource_version: str, patch: Manifest
    ) -> Manifest:
        """Write a status, if nobody has written since.

        Args:
            key: Of the ingest.
            resource_version: What the status was made from.
            patch: JSON merge patch of the status alone.

        Returns:
            The ingest as it is now.

        Raises:
            ClusterError: 409 if the ingest has changed, 404 if it is gone.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": patch}
        return await self._call("PATCH", f"{_ingest(key)}/status", body=body, content=_MERGE)

    async def wake(self, key: IngestKey, moment: str) -> None:
        """Leave word on an ingest that there is something to look at."""
        await self._annotate(key, names.ANNOTATION_WAKE, moment)

    async def tell_of_refusals(self, key: IngestKey, span: str) -> None:
        """Leave word on an ingest that events are refused, from when until when."""
        await self._annotate(key, names.ANNOTATION_REFUSED, span)

    async def _annotate(self, key: IngestKey, annotation: str, text: str) -> None:
        body = {"metadata": {"annotations": {annotation: text}}}
        await self._call("PATCH", _ingest(key), body=body, content=_MERGE)

    async def post_event(self, event: Manifest) -> None:
        """Post a Kubernetes Event; one of this name that is there already stays as it is."""
        place = _namespaced("/api/v1", "events", event["metadata"]["namespace"])
        try:
            await self._call("POST", place, body=event)
        except ClusterError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    # --- the Lease

    async def lease(self, namespace: str, name: str) -> Manifest | None:
        """A Lease, or None."""
        return await self._get(f"{_namespaced(_LEASES, 'leases', namespace)}/{name}")

    async def put_lease(self, lease: Manifest) -> Manifest:
        """Create a Lease, or replace the very version that it was made from.

        Raises:
            ClusterError: 409 if somebody else was faster.
        """
        metadata = lease["metadata"]
        place = _namespaced(_LEASES, "leases", metadata["namespace"])
        if "resourceVersion" in metadata:
            return await self._call("PUT", f"{place}/{metadata['name']}", body=lease, free=True)
        return await self._call("POST", place, body=lease, free=True)

    # --- one request

    async def _get(self, path: str) -> Manifest | None:
        try:
            return await self._call("GET", path)
        except ClusterError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content: str = "application/json",
        free: bool = False,
    ) -> Manifest:
        """One request.

        Args:
            verb: GET, POST, ...
            path: From the root of the server.
            query: Parameters.
            body: A document to send.
            content: Its type.
            free: Whether it may be sent without asking the guard.
        """
        if verb != "GET" and not free and not self._may_write():
            raise ClusterError("this replica does not lead any more: nothing was changed")
        API_REQUESTS.labels(verb=verb, resource=_resource(path)).inc()
        try:
            answer = await self._api.call_api(
                path,
                verb,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=TIMEOUT_SECONDS,
            )
            text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(f"{verb} {path}: no answer ({type(error).__name__})") from None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ClusterError(f"{verb} {path}: {_refusal(text, answer.status)}", answer.status)
        document: Manifest = json.loads(text)
        return document


_GROUP: Final = f"/apis/{names.GROUP}/{names.VERSION}"
_BATCH: Final = "/apis/batch/v1"
_LEASES: Final = "/apis/coordination.k8s.io/v1"


def _namespaced(api: str, plural: str, namespace: str) -> str:
    return f"{api}/namespaces/{namespace}/{plural}"


def _ingest(key: IngestKey) -> str:
    return f"{_namespaced(_GROUP, names.PLURAL, key.namespace)}/{key.name}"


def _resource(path: str) -> str:
    """The plural in a path, for a metric: few values, whatever the objects are called."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    return rest[2] if rest[0] == "namespaces" and len(rest) > 2 else rest[0]  # noqa: PLR2004


def _refusal(text: bytes, status: int) -> str:
    """What a Status document says."""
    try:
        return str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        # So is the answer to what no CRD has made known.
        return f"HTTP {status} and no reason"
