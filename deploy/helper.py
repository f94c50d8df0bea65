"""The door to manifests/quickstart.sh, which asks Vault and warehouse from within their pods."""

from cluster.shell import run
from deploy.door import programs
from deploy.place import HELPER, Place


def reveal(place: Place, account: str, path: str, *fields: str) -> list[str]:
    """Fields of a secret in Vault, as a service account that may read it."""
    return _helper(place, "reveal", account, path, *fields).splitlines()


def query(place: Place, sql: str) -> str:
    """What the warehouse answers to the dashboards' login, as psql prints it."""
    return _helper(place, "query", sql)


def _helper(place: Place, *words: str) -> str:
    where = ("--context", place.context, "--namespace", place.namespace)
    return run([HELPER, *where, *words], env={"PATH": programs()})
