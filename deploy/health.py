"""Judges what there is. Pure: facts and a clock in, rows out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from certs.health import age, days_left
from certs.pair import parse_certificates
from deploy.facts import Facts, Object
from deploy.obstacles import ALWAYS, FAILED, Obstacle, of_job, of_pod
from deploy.pods import condition, restarts, trouble

Cell = str | int | None
DAYS_LEFT_AT_LEAST = 7
READABLE = {"deployed", "superseded"}
UP = "`make up` mends it"
_PENDING = "another helm is at it, or was killed: `make up` completes it"


@dataclass(frozen=True)
class Row:
    """One line of a page.

    Args:
        section: Which table it belongs to.
        cells: What it tells, by column; the first is its name.
        wrong: What is not as it should be; empty if all is well.
        mend: What to do about it.
    """

    section: str
    cells: Mapping[str, Cell]
    wrong: str = ""
    mend: str = ""

    @property
    def name(self) -> str:
        """What it is about."""
        return str(next(iter(self.cells.values())))


def judge(facts: Facts, now: datetime) -> list[Row]:
    """A row for each thing that can be well or not, in the order of a page."""
    return [
        *map(_node, facts.nodes),
        _release(facts),
        *(_part(one, facts) for one in facts.workloads),
        *map(_job, _own_jobs(facts)),
        *(_certificate(name, pem, now) for name, pem in facts.certificates.items()),
        *map(_volume, facts.claims),
        *map(_ingest, facts.ingests),
    ]


# --- cluster and release --------------------------------------------------------------------------


def _node(node: Object) -> Row:
    ready = condition(node, "Ready").get("status") == "True"
    cells = {
        "node": node["metadata"]["name"],
        "ready": "yes" if ready else "no",
        "kubernetes": node["status"]["nodeInfo"]["kubeletVersion"],
    }
    if ready:
        return Row("cluster", cells)
    return Row("cluster", cells, "the node is not ready", "`make cluster` mends or replaces it")


def _release(facts: Facts) -> Row:
    name, found = facts.place.release, facts.release
    if found is None:
        cells: dict[str, Cell] = {"release": name, "revision": None, "status": "none"}
        return Row("release", cells, "it is not installed", "`make up` installs it")
    status = found["status"]
    cells = {"release": name, "revision": int(found["revision"]), "status": status}
    if status == "deployed":
        return Row("release", cells)
    return Row("release", cells, f"it is {status}", _PENDING if "pending" in status else UP)


# --- parts ----------------------------------------------------------------------------------------


def _part(workload: Object, facts: Facts) -> Row:
    pods = pods_of(workload, facts.pods)
    sealed = _seal_of(pods, facts.sealed)
    cells: dict[str, Cell] = {
        "part": workload["metadata"]["name"],
        "ready": "{}/{}".format(*_ready(workload)),
        "restarts": sum(map(restarts, pods)),
        "sealed": sealed,
    }
    return Row("parts", cells, *_wrong_with(workload, pods, facts, sealed))


def _ready(workload: Object) -> tuple[int, int]:
    """How many pods are ready, and how many are to be."""
    ready = workload.get("status", {}).get("readyReplicas", 0)
    return int(ready), int(workload["spec"].get("replicas", 1))


def _wrong_with(
    workload: Object, pods: list[Object], facts: Facts, sealed: Cell
) -> tuple[str, str]:
    """What is wrong with a part, and what to do about it; both empty if nothing is."""
    ready, wanted = _ready(workload)
    if not wanted:
        return "it is scaled to 0", f"{UP}, if nobody means it"
    if ready < wanted and (found := _obstacle(pods, facts)):
        return f"{found.at}: {found.why}", _mend(found, facts)
    if sealed == "yes":
        return "Vault is sealed", _unseal(workload, facts)
    if sealed == "?":
        look = f"if it is not starting, `{_kubectl(facts)} logs {workload['metadata']['name']}-0`"
        return "Vault does not say whether it is sealed", look
    if ready >= wanted:
        return "", ""
    why = "; ".join(dict.fromkeys(filter(None, map(trouble, pods)))) or "no pod is ready"
    return why, f"look at `{_kubectl(facts)} describe pods` and their logs"


def _mend(found: Obstacle, facts: Facts) -> str:
    if not found.log:
        return found.mend
    pod, container = found.log
    return f"read `{_kubectl(facts)} logs {pod} -c {container}`"


def _obstacle(pods: Iterable[Object], facts: Facts) -> Obstacle | None:
    found = (of_pod(pod, facts.warnings, ALWAYS) for pod in pods)
    return next(filter(None, found), None)


def _seal_of(pods: Iterable[Object], sealed: Mapping[str, bool | None]) -> Cell:
    told = [sealed[name] for pod in pods if (name := pod["metadata"]["name"]) in sealed]
    if not told:
        return None
    if True in told:
        return "yes"
    return "?" if None in told else "no"


def _unseal(workload: Object, facts: Facts) -> str:
    name = workload["metadata"]["name"]
    return (
        f"its seal unseals it at a restart, `{_kubectl(facts)} delete pod {name}-0`; "
        "without a seal whoever has the keys does"
    )


def _kubectl(facts: Facts) -> str:
    return f"kubectl --context {facts.place.context} -n {facts.place.namespace}"


def pods_of(workload: Object, pods: Iterable[Object]) -> list[Object]:
    """The pods that a workload's selector chooses."""
    wanted = workload["spec"]["selector"]["matchLabels"].items()
    return [pod for pod in pods if wanted <= pod["metadata"].get("labels", {}).items()]


# --- Jobs, certificates, volumes ------------------------------------------------------------------


def _own_jobs(facts: Facts) -> Iterator[Object]:
    """Those of the release: those of runs are told of by their ingests."""
    for job in facts.jobs:
        labels = job["metadata"].get("labels", {})
        if labels.get("app.kubernetes.io/managed-by") == "Helm":
            yield job


def _job(job: Object) -> Row:
    found = of_job(job)
    state = "running"
    if condition(job, "Complete").get("status") == "True":
        state = "complete"
    elif found and found.kind == FAILED:
        state = "failed"
    cells = {"job": job["metadata"]["name"], "state": state}
    if not found:
        return Row("jobs", cells)
    if state == "failed":
        return Row("jobs", cells, found.why, "its log says why; once that is mended, `make up`")
    return Row("jobs", cells, found.why, "the log of the last one says why; then `make up`")


def _certificate(secret: str, pem: bytes, now: datetime) -> Row:
    try:
        certificate = parse_certificates(pem)[0]
    except ValueError:
        cells: dict[str, Cell] = {"certificate": secret, "days left": None, "expires": None}
        return Row("certificates", cells, "it cannot be read", UP)
    left = days_left(certificate, now)
    expires = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    cells = {"certificate": secret, "days left": left, "expires": expires}
    state = age(certificate, now)
    if not state.is_usable:
        return Row("certificates", cells, f"it is {state}", "`make up` issues it anew")
    if left < DAYS_LEFT_AT_LEAST:
        return Row("certificates", cells, "it expires soon", "`make up` issues it anew")
    return Row("certificates", cells)


def _volume(claim: Object) -> Row:
    phase = claim["status"].get("phase", "?")
    size = claim["spec"]["resources"]["requests"]["storage"]
    cells = {"volume": claim["metadata"]["name"], "size": size, "phase": phase}
    if phase == "Bound":
        return Row("volumes", cells)
    return Row("volumes", cells, f"it is {phase}", "see its Events, and the StorageClass")


# --- ingests --------------------------------------------------------------------------------------


def _ingest(ingest: Object) -> Row:
    status = ingest.get("status", {})
    files, rows = status.get("files", {}), status.get("rows", {})
    ready = condition(ingest, "Ready")
    cells: dict[str, Cell] = {
        "ingest": ingest["metadata"]["name"],
        "ready": ready.get("status", "?"),
        "pending": files.get("pending", 0),
        "running": files.get("running", 0),
        "loaded": rows.get("loaded", 0),
        "rejected": rows.get("rejected", 0),
        "last success": status.get("lastSuccessTime"),
    }
    if not ready:
        return Row("ingests", cells, "the operator has not looked at it yet", "see its log")
    # Who suspends one means it.
    if ready["status"] == "True" or ready.get("reason") == "Suspended":
        return Row("ingests", cells)
    mend = f"docs/operations.md has {ready['reason']}, and what to do"
    return Row("ingests", cells, f"{ready['reason']}: {ready.get('message', '')}", mend)
