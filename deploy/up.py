"""Bring the platform up: run it as often as you like, it ends when a file has become rows."""

import base64
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster import pins
from cluster.shell import ClusterError, run, say, step
from deploy.attend import ObstructedError, attend, try_anew
from deploy.built import identity
from deploy.door import Door, program
from deploy.next_steps import next_steps
from deploy.place import (
    ACCOUNTS,
    CHART,
    DEFINITION,
    INGEST,
    LABELS,
    LOCAL_VALUES,
    REPOSITORY,
    SAMPLE,
    Place,
)
from deploy.proof import STORE_PORT, prove, write_client
from deploy.trouble import explained

SEAL = "vault-seal"
"""Secret with the key that unseals Vault."""
SEAL_KEY_BYTES = 32
SEALED = "data-vault-0"
"""Claim with what it opens."""
BUILT = {
    "operator.podAnnotations.image": pins.OPERATOR_IMAGE,
    "vault.setup.podAnnotations.image": pins.SETUP_IMAGE,
}
"""Value that tells pods which image they are of -> its name."""
INSTALL_MINUTES = 6
READY_SECONDS = 180
SETUP = "app.kubernetes.io/name=vault,app.kubernetes.io/component=setup"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
_INTERRUPTED = "status in (pending-install,pending-upgrade,pending-rollback)"


def up(door: Door, values: Sequence[Path]) -> str:
    """Install, or bring to the present state, and prove that it works.

    Args:
        door: To the cluster.
        values: Files of values on top of those for the local cluster.

    Returns:
        What can be done next.

    Raises:
        ClusterError: It did not come about; the error tells what is wrong.
    """
    with step(f"namespace {door.place.namespace}, certificates, the key that unseals Vault"):
        prepare(door)
    with step("the charts"):
        run([program("helm"), "dependency", "build", CHART])
    with _explaining(door):
        with step(f"release {door.place.release}: everything answers"):
            install(door, values)
        with step(f"SalesIngest {INGEST} is ready"):
            ingest(door)
        with step("a file put under raw/ becomes rows"):
            key, rows = prove(door)
    say(f"{key}: {rows} rows in fact_sales")
    write_client(door.place, door.place.client, STORE_PORT)
    return next_steps(door.place)


@contextmanager
def _explaining(door: Door) -> Iterator[None]:
    try:
        yield
    except ObstructedError:
        raise  # it says all there is to know
    except ClusterError as error:
        raise explained(door, error) from error


def prepare(door: Door) -> None:
    """All that must be there before the charts."""
    door.apply(_namespace(door.place))
    _certify(door.place)
    if door.get("secret", SEAL) is None:
        _make_seal_key(door)
    # The definition is the whole cluster's, not a release's.
    door.apply(_read(DEFINITION))


def _make_seal_key(door: Door) -> None:
    if door.get("persistentvolumeclaim", SEALED):
        raise ClusterError(
            "Vault's volume is there, but not the key that opens it",
            where=f"Secret {SEAL} in namespace {door.place.namespace}",
            mend="Put the Secret back, or give all data up with `make down`.",
        )
    key = secrets.token_bytes(SEAL_KEY_BYTES)
    door.create_secret(SEAL, {"key": base64.b64encode(key).decode()})


def _namespace(place: Place) -> dict[str, Any]:
    metadata = {"name": place.namespace, "labels": LABELS | RESTRICTED}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _certify(place: Place) -> None:
    certs = [sys.executable, "-m", "certs"]
    where = ["--namespace", place.namespace, "--out", str(place.certificates)]
    run([*certs, "issue", *where], cwd=REPOSITORY)
    run([*certs, "apply", *where, "--context", place.context], cwd=REPOSITORY)


def install(door: Door, values: Sequence[Path]) -> None:
    """Install or upgrade the release, and wait until all of it works.

    Raises:
        ObstructedError: Something stands in the way for good.
        ClusterError: It has failed, or is not there in time.
    """
    # A helm that was killed leaves its mark, and every later one stops there.
    mark = f"--selector=owner=helm,name={door.place.release},{_INTERRUPTED}"
    door.kubectl("delete", "secrets", mark)
    _drop_failed_setup(door)
    try_anew(door)
    given = [f"--values={file}" for file in (LOCAL_VALUES, *values)]
    # Whatever they were made from, they have the same names: pods would stay those of before.
    built = ((value, identity(door.place, image)) for value, image in BUILT.items())
    given += [f"--set-string={value}={image}" for value, image in built]
    limit = f"--timeout={INSTALL_MINUTES}m"
    release = ("upgrade", "--install", door.place.release, str(CHART))
    attend(door, door.helm_words(*release, *given, "--wait", limit))
    # It waits for a login that a hook makes, which Helm runs once all else is ready.
    setup = ("wait", "job", f"--selector={SETUP}", "--for=condition=Complete", limit)
    attend(door, door.kubectl_words(*setup))


def _drop_failed_setup(door: Door) -> None:
    """One that has failed is no longer tried, or soon not; Helm makes it anew where it is gone."""
    for job in door.items("jobs", f"--selector={SETUP}"):
        if job.get("status", {}).get("failed") and not job["status"].get("succeeded"):
            door.kubectl("delete", "job", job["metadata"]["name"], "--ignore-not-found")


def ingest(door: Door) -> None:
    """Apply the sample and the accounts of people, and wait until the operator has taken it."""
    namespace = door.place.namespace
    door.apply(*(_placed(one, namespace) for one in _read_all(ACCOUNTS)))
    door.apply(_placed(_read(SAMPLE), namespace))
    ready = ("--for=condition=Ready", f"--timeout={READY_SECONDS}s")
    door.kubectl("wait", f"salesingest/{INGEST}", *ready)


def _placed(manifest: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def _read(file: Path) -> dict[str, Any]:
    (manifest,) = _read_all(file)
    return manifest


def _read_all(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
