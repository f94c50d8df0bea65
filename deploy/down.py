"""Take the platform away; the cluster stays."""

from cluster import cache
from cluster.shell import ClusterError, say, step
from deploy.door import Door
from deploy.facts import release_of
from deploy.place import LABELS

DEFINITION = "customresourcedefinitions/salesingests.minidata.io"
MINUTES = 5


def down(door: Door, *, keep_data: bool) -> None:
    """Remove the release and, unless data is to be kept, its namespace and what hangs on it.

    Raises:
        ClusterError: The namespace was not made by `up`, or something does not go away.
    """
    place = door.place
    namespace = door.get("namespace", place.namespace)
    if namespace is None:
        say(f"no namespace {place.namespace}: nothing to remove")
        return
    _check_ours(place.namespace, namespace["metadata"].get("labels", {}))
    if release_of(door):
        with step(f"remove release {place.release}"):
            _uninstall(door, keep_data=keep_data)
    cache.remove(place.client)
    if not keep_data:
        with step(f"remove namespace {place.namespace} and its volumes"):
            door.kubectl("delete", "namespace", place.namespace, f"--timeout={MINUTES}m")
        _remove_definition(door)


def _check_ours(name: str, labels: dict[str, str]) -> None:
    if not LABELS.items() <= labels.items():
        raise ClusterError(
            f"namespace {name} was not made by `up`",
            where="its labels",
            mend="Name the right one with --namespace, or delete it by kubectl.",
        )


def _uninstall(door: Door, *, keep_data: bool) -> None:
    if not keep_data and door.get(DEFINITION):
        # While there is an operator that sees them go.
        door.kubectl("delete", "salesingests", "--all", f"--timeout={MINUTES}m")
    door.helm("uninstall", door.place.release, "--wait", f"--timeout={MINUTES}m")


def _remove_definition(door: Door) -> None:
    """Nobody else may need it: no ingest, and no operator that would miss the definition."""
    if not door.get(DEFINITION):
        return
    others = door.items("salesingests", "--all-namespaces")
    operators = door.items(
        "deployments", "--all-namespaces", "--selector=app.kubernetes.io/name=sales-operator"
    )
    if others or operators:
        say("the definition of SalesIngest stays: other namespaces use it")
    else:
        door.kubectl("delete", DEFINITION)
