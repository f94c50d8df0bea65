"""The door to Vault: who logs in there, what is read, and that the token is given back.

A login to the database that Vault made ends with the token that asked for it. So a token is held
for as long as what was read is in use, and revoked then, whatever came of it. What is not revoked,
for the process was killed, ends with its time to live.

HTTP errors quote what they choke on. So an error is raised here only *after* its cause has been let
go: `from None` would hide the cause from print, yet leave it in reach.
"""

import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import hvac
import hvac.exceptions

from sales_pipeline import credential_problems as problems
from sales_pipeline.credential_problems import Problem
from sales_pipeline.errors import ConfigurationError, PipelineError, TemporaryError
from sales_pipeline.settings import Settings

_TIMEOUT_SECONDS: Final = 10
_REVOKE_SECONDS: Final = 60
"""As long as a restart of Vault may take: a login that is not ended lives for hours."""
_PAUSE_SECONDS: Final = 0.5
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_log = logging.getLogger(__name__)
T = TypeVar("T")


# --- what the rest of the pipeline sees ---------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """One secret as it was found, not yet looked into."""

    where: str
    content: Any = field(repr=False)


@dataclass(frozen=True)
class Session:
    """A login to Vault."""

    _client: hvac.Client
    _settings: Settings
    _seconds: int
    """How long its token lives."""

    def read(self, name: str) -> Document:
        """One of the three secrets; the login to the database is made on the spot if Vault can.

        Raises:
            ConfigurationError: There is none, or the role may not read it.
            LoginEndedError: The token was revoked since.
            TemporaryError: Vault cannot be reached, is sealed or fails.
        """
        logins = self._settings.vault_database_path.strip("/")
        return self._login_to_database(logins) if name == "database" and logins else self._kv(name)

    def _kv(self, name: str) -> Document:
        mount, path = self._settings.vault_mount, f"{self._settings.vault_path.strip('/')}/{name}"

        def read() -> Any:
            answer = self._client.secrets.kv.v2.read_secret_version(
                path, mount_point=mount, raise_on_deleted_version=True
            )
            return answer["data"]["data"]

        where = f"{self._client.url} {mount}/data/{path}"
        return Document(where, self._ask(read, where, problems.ABSENT))

    def _login_to_database(self, path: str) -> Document:
        def read() -> Any:
            answer = self._client.adapter.get(f"/v1/{path}")
            lives = {"lease_seconds": answer["lease_duration"], "token_seconds": self._seconds}
            return answer["data"] | lives

        where = f"{self._client.url} {path}"
        return Document(where, self._ask(read, where, problems.NO_LOGINS))

    def _ask(self, read: Callable[[], T], where: str, absent: Problem) -> T:
        try:
            return _ask(read, where, problems.FORBIDDEN, absent)
        except ConfigurationError as error:
            refused = error
        if refused.code == problems.FORBIDDEN.code:
            # Vault says the same of a path that is closed and of a token that it knows no more.
            lookup = self._client.auth.token.lookup_self
            _ask(lookup, where, problems.TOKEN_ENDED, problems.TOKEN_ENDED)
        raise refused


@contextlib.contextmanager
def session(settings: Settings) -> Iterator[Session]:
    """Log in as the pod's service account; the token is revoked when the block ends.

    Raises:
        ConfigurationError: Address, CA file, service account's token or role are not right.
        TemporaryError: Vault cannot be reached, is sealed or fails.
    """
    with _connected(settings) as client:
        seconds = _login(client, settings)
        with _held(client):
            yield Session(client, settings, seconds)


@contextlib.contextmanager
def holding(settings: Settings, token: str) -> Iterator[None]:
    """Revoke a token that somebody else has asked for, the agent, when the block ends.

    Raises:
        ConfigurationError: Address or CA file are not right, so that it could not be revoked.
    """
    with _connected(settings) as client:
        client.token = token
        with _held(client):
            yield


def give_back() -> None:
    """Revoke all tokens that are held, for a process that ends without ending its blocks."""
    for client in _holders:
        _revoke(client)  # once: who was told to end has seconds


# --- tokens -------------------------------------------------------------------------------------

_holders: Final[list[hvac.Client]] = []
"""Whose tokens are held: what handles a signal is handed nothing, and must find them."""


@contextlib.contextmanager
def _held(client: hvac.Client) -> Iterator[None]:
    _holders.append(client)
    try:
        yield
    finally:
        _revoke(client, _REVOKE_SECONDS)
        _holders.remove(client)


def _revoke(client: hvac.Client, seconds: float = 0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.auth.token.revoke_self()
        except (hvac.exceptions.VaultError, OSError, ValueError) as error:
            is_final = isinstance(error, (*_DENIALS, *_NOTHING_THERE, ValueError))
        else:
            return
        if is_final or time.monotonic() >= deadline:
            # The work is done by now; a token left to its time to live should fail no run.
            _log.warning("the Vault token was not revoked; it ends with its time to live")
            return
        time.sleep(_PAUSE_SECONDS)  # Vault does not tell when it is back, so it must be asked


def _login(client: hvac.Client, settings: Settings) -> int:
    jwt, role = _read_token(settings.vault_token_file), settings.vault_role

    def login() -> int:
        mount = settings.vault_auth_path
        answer = client.auth.kubernetes.login(role=role, jwt=jwt, mount_point=mount)
        seconds: int = answer["auth"]["lease_duration"]
        return seconds

    where = f"{client.url} role {role}"
    return _ask(login, where, problems.LOGIN_REFUSED, problems.LOGIN_REFUSED)


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        problem = problems.NO_TOKEN
    raise problem.at(path)


# --- the connection -----------------------------------------------------------------------------


@contextlib.contextmanager
def _connected(settings: Settings) -> Iterator[hvac.Client]:
    if not _is_fit(settings.vault_addr or ""):
        raise problems.BAD_ADDRESS.at("SALES_VAULT_ADDR")
    client = hvac.Client(
        url=settings.vault_addr,
        token="",  # none yet, or hvac would take one from the environment or the home folder
        verify=_trust(settings.vault_ca_file),
        timeout=_TIMEOUT_SECONDS,
    )
    with contextlib.closing(client.adapter):
        yield client


def _is_fit(address: str) -> bool:
    try:
        url = urlsplit(address)
        host, _ = url.hostname, url.port  # an unusable port raises only when it is asked for
    except ValueError:
        return False
    secure = url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
    return secure and bool(host) and url.username is None


def _trust(ca_file: Path | None) -> str | bool:
    if ca_file is None:
        return True
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:
        problem = problems.NO_CA
    else:
        return str(ca_file)
    raise problem.at(ca_file)


# --- what can go wrong with a question ----------------------------------------------------------

_DENIALS: Final = (hvac.exceptions.Unauthorized, hvac.exceptions.Forbidden)
_NOTHING_THERE: Final = (hvac.exceptions.InvalidPath, hvac.exceptions.InvalidRequest)
"""No such path, or one that makes no sense: the database engine says so of an unknown role."""
_MISSHAPEN: Final = (LookupError, TypeError, AttributeError)
"""What taking apart an answer that is not Vault's ends in."""


def _ask(call: Callable[[], T], where: str, denied: Problem, absent: Problem) -> T:
    try:
        return call()
    except (hvac.exceptions.VaultError, OSError, ValueError, *_MISSHAPEN) as error:
        problem = _explain(error, where, denied, absent)
    raise problem


def _explain(error: Exception, where: str, denied: Problem, absent: Problem) -> PipelineError:
    if isinstance(error, _DENIALS):
        return denied.at(where)
    if isinstance(error, _NOTHING_THERE):
        return absent.at(where)
    if isinstance(error, ValueError):  # of urllib3 and requests: a host no request can name
        return problems.BAD_ADDRESS.at("SALES_VAULT_ADDR")
    if isinstance(error, _MISSHAPEN):
        return problems.NOT_VAULT.at(where)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error)):
        return problems.UNTRUSTED.at(where)
    return TemporaryError(
        "Vault cannot be reached, is sealed or fails",
        where=where,
        mend="`vault status` tells more; the next try may well succeed.",
        code="vault.unavailable",
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
