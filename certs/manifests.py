"""What Kubernetes gets: a Secret for each service, a ConfigMap for whoever calls them."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from certs.errors import CertsError
from certs.health import health
from certs.pair import Damaged, Pair, certificate_pem, names_of
from certs.plan import Found

BUNDLE_NAME: Final = "minidata-ca"

_ISSUE: Final = "Run `python -m certs issue --namespace {namespace}` first."


def make_manifests(found: Found, namespace: str, now: datetime) -> list[dict[str, Any]]:
    """The manifests, the one with the CAs first, so that nobody meets a server it can't trust yet.

    Args:
        found: What the folder holds.
        namespace: Where they shall be.
        now: The moment to judge by what is expired.

    Raises:
        CertsError: A certificate is unfit for use or for this namespace; all such are named.
    """
    _check(found, namespace, now)
    bundle = certificate_pem(found.bundle)
    pairs = {name: leaf for name, leaf in found.leaves.items() if isinstance(leaf, Pair)}
    return [
        _config_map(bundle, namespace),
        *(_secret(name, pair, bundle, namespace) for name, pair in pairs.items()),
    ]


def _check(found: Found, namespace: str, now: datetime) -> None:
    faults = {name: _fault(name, found, namespace, now) for name in found.leaves}
    unfit = [f"{name} ({fault})" for name, fault in faults.items() if fault]
    if unfit:
        raise CertsError(
            f"unfit for use in namespace {namespace}: {', '.join(unfit)}",
            where=found.authority_file.parent,
            mend=_ISSUE.format(namespace=namespace),
        )


def _fault(name: str, found: Found, namespace: str, now: datetime) -> str | None:
    leaf = found.leaves[name]
    state = health(leaf, found.bundle, now)
    if not state.is_usable:
        return leaf.what if isinstance(leaf, Damaged) else state
    names = names_of(leaf.certificate) if isinstance(leaf, Pair) else ()
    return None if f"{name}.{namespace}.svc" in names else "for another namespace"


def _config_map(bundle: bytes, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(BUNDLE_NAME, "ca", namespace),
        "data": {"ca.crt": bundle.decode()},
    }


def _secret(name: str, pair: Pair, bundle: bytes, namespace: str) -> dict[str, Any]:
    data = {
        "tls.crt": certificate_pem([pair.certificate]),
        "tls.key": pair.key_pem(),
        "ca.crt": bundle,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": _metadata(f"{name}-tls", name, namespace),
        "data": _base64(data),
    }


def _base64(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: b64encode(value).decode() for key, value in data.items()}


def _metadata(name: str, component: str, namespace: str) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "minidata",
        "app.kubernetes.io/managed-by": "minidata-certs",
    }
    return {"name": name, "namespace": namespace, "labels": labels}
