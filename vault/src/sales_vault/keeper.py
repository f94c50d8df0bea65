"""The door to one Kubernetes Secret: the keys of a server, and for a while its root token.

Three requests need no client library: get, create, patch.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from sales_vault.errors import ConfigurationError, SetupError, TemporaryError
from sales_vault.settings import Settings

_TIMEOUT_SECONDS: Final = 30
_KEYS: Final = "keys"
_ROOT_TOKEN: Final = "root-token"  # noqa: S105 - the name of a field
_LABELS: Final = {"app.kubernetes.io/managed-by": "sales-vault"}


@dataclass(frozen=True)
class Kept:
    """What the Secret has."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    """Unseal keys, or recovery keys, whichever the server told."""
    root_token: str | None = field(default=None, repr=False)


class Keeper:
    """The Secret that the settings name, in the namespace of this pod.

    Args:
        settings: Where the API server is, and what this pod shows it.
        name: The Secret's.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name

    @property
    def where(self) -> str:
        """The Secret, for messages."""
        return f"Secret {self._name}"

    def look(self) -> Kept:
        """What it has; a Secret that is not there has nothing.

        Raises:
            ConfigurationError: This pod may not read it, or holds no access of its own.
            TemporaryError: The API server cannot be reached, or fails.
        """
        found = self._request("GET", self._name, allowed={HTTPStatus.NOT_FOUND})
        fields = {k: base64.b64decode(v).decode() for k, v in (found.get("data") or {}).items()}
        return Kept(tuple(fields.get(_KEYS, "").split()), fields.get(_ROOT_TOKEN) or None)

    def prepare(self) -> None:
        """Make sure that it is there and can be written; raises as `look` does."""
        document = {"metadata": {"name": self._name, "labels": _LABELS}, "type": "Opaque"}
        self._request("POST", "", document, allowed={HTTPStatus.CONFLICT})
        self._request("PATCH", self._name, {"metadata": {"labels": _LABELS}})

    def keep(self, kept: Kept) -> None:
        """Write keys and root token; raises as `look` does."""
        self._patch({_KEYS: "\n".join(kept.keys), _ROOT_TOKEN: kept.root_token})

    def drop_root(self) -> None:
        """Have no root token any more; raises as `look` does."""
        self._patch({_ROOT_TOKEN: None})

    def _patch(self, fields: Mapping[str, str | None]) -> None:
        data = {k: v and base64.b64encode(v.encode()).decode() for k, v in fields.items()}
        self._request("PATCH", self._name, {"data": data})

    def _request(
        self,
        method: str,
        name: str,
        document: Mapping[str, Any] | None = None,
        allowed: frozenset[HTTPStatus] | set[HTTPStatus] = frozenset(),
    ) -> dict[str, Any]:
        kind = "merge-patch+json" if method == "PATCH" else "json"
        try:
            headers = {
                "Authorization": f"Bearer {self._own('token')}",
                "Content-Type": f"application/{kind}",
            }
            path = f"/api/v1/namespaces/{self._own('namespace')}/secrets/{name}".rstrip("/")
            body = json.dumps(document) if document is not None else None
            status, answer = self._send(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = self._explain(error)
        else:
            if status in allowed:
                return {}
            if status < HTTPStatus.BAD_REQUEST:
                return answer
            problem = self._explain_status(method, status)
        raise problem

    def _own(self, name: str) -> str:
        return (self._settings.account_dir / name).read_text("ascii").strip()

    def _send(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection(
            self._settings.kubernetes_host,
            self._settings.kubernetes_port,
            timeout=_TIMEOUT_SECONDS,
            context=ssl.create_default_context(cafile=self._settings.account_dir / "ca.crt"),
        )
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def _explain(self, error: Exception) -> SetupError:
        if isinstance(error, FileNotFoundError):
            return ConfigurationError(
                "this pod has no access to Kubernetes' API",
                where=self._settings.account_dir,
                mend="Mount the token of a service account that may get, create and patch"
                f" the {self.where}, or set SALES_VAULT_ACCOUNT_DIR.",
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConfigurationError(
                "the API server's certificate is not trusted",
                where=self._address,
                mend=f"Correct ca.crt in {self._settings.account_dir}.",
            )
        return self._unavailable()

    def _explain_status(self, method: str, status: int) -> SetupError:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._unavailable()
        return ConfigurationError(
            f"Kubernetes refused {method} ({status})",
            where=self.where,
            mend="Let this pod's service account create Secrets, and get and patch this one.",
        )

    def _unavailable(self) -> TemporaryError:
        return TemporaryError(
            "Kubernetes' API cannot be reached, or fails",
            where=self._address,
            mend="What was done so far stands: run again.",
        )

    @property
    def _address(self) -> str:
        return f"{self._settings.kubernetes_host}:{self._settings.kubernetes_port}"
