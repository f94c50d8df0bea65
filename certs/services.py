"""What gets a certificate, and for which names. The only place that lists the services."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
"""In every certificate, for `kubectl port-forward` and for probes from within the pod."""


@dataclass(frozen=True)
class Service:
    """A server that speaks TLS.

    Args:
        name: Of its Kubernetes Service; `NAME-tls` is its Secret, `NAME.pem` its file.
        purpose: What it is to the platform.
    """

    name: str
    purpose: str

    def names(self, namespace: str, extra: Collection[str] = ()) -> tuple[str, ...]:
        """Under which names clients reach it: by DNS inside the cluster, by loopback, by `extra`.

        Args:
            namespace: Where it runs.
            extra: Further DNS names, such as that of an Ingress.
        """
        home = f"{self.name}.{namespace}"
        inside = (self.name, home, f"{home}.svc", f"{home}.svc.cluster.local")
        return tuple(dict.fromkeys((*inside, *LOOPBACK, *extra)))


SERVICES: Final = (
    Service("minio", "object store"),
    Service("postgres", "database"),
    Service("vault", "keeper of secrets"),
    Service("vault-injector", "what gives pods an agent of Vault's"),
    Service("metabase", "dashboards"),
    Service("operator", "receiver of the object store's events"),
)

_LABEL: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_MAX_DNS_NAME: Final = 253
_LABEL_PATTERN: Final = re.compile(_LABEL)
# The last label begins with a letter, or an address would pass for a name.
_DNS_PATTERN: Final = re.compile(rf"({_LABEL}\.)*(?=[a-z]){_LABEL}")


def is_namespace(text: str) -> bool:
    """Whether Kubernetes would take it as the name of a namespace (RFC 1123 label)."""
    return _LABEL_PATTERN.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    """Whether it is one DNS name in small letters; wildcards and addresses are not."""
    return len(text) <= _MAX_DNS_NAME and _DNS_PATTERN.fullmatch(text) is not None
