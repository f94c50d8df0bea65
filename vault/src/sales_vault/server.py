"""The door to Vault: the only importer of its driver.

HTTP errors quote what was sent and answered. So an error is raised here only *after* its cause has
been let go: `from None` would hide the cause from print, yet leave it in reach.
"""

import base64
import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import hvac
import hvac.exceptions

from sales_vault.errors import ConfigurationError, SetupError, TemporaryError
from sales_vault.settings import Settings
from sales_vault.waiting import until

_TIMEOUT_SECONDS: Final = 30
_LISTED: Final = ("sys/audit", "sys/auth", "sys/mounts")
"""What is mounted is told as a whole."""
_UPGRADING: Final = "Upgrading from non-versioned to versioned data"
"""What Vault says for a moment after a key-value engine is mounted."""
_UNSUPPORTED: Final = "unsupported operation"
"""What OpenBao says to what its configuration forbids, by a status that the driver knows not."""
T = TypeVar("T")


@dataclass(frozen=True)
class Seal:
    """Whether the server has data yet, and whether it is closed."""

    initialised: bool
    sealed: bool


@dataclass(frozen=True)
class Beginning:
    """What a server tells once in its life."""

    keys: tuple[str, ...] = field(repr=False)
    root_token: str = field(repr=False)


class Entry(Enum):
    """What came of a login."""

    IN = "in"
    REFUSED = "refused"
    FAILED = "failed"
    """The server could not tell; for one, since it couldn't ask Kubernetes."""


class RefusedError(ConfigurationError):
    """Vault understood a request, and does not want it."""


class InvalidError(RefusedError):
    """We may make the request, but what it holds cannot be done."""


class Server:
    """One Vault, and whoever we are to it."""

    def __init__(self, client: hvac.Client) -> None:
        self._client = client

    @classmethod
    @contextlib.contextmanager
    def connect(cls, settings: Settings) -> Iterator[Self]:
        """A door that is closed in the end; nothing is asked yet.

        Raises:
            ConfigurationError: The CA file cannot be used.
        """
        client = hvac.Client(
            url=settings.addr,
            token="",  # none yet, or hvac would take one from the environment or the home folder
            verify=_trust(settings.ca_file),
            timeout=_TIMEOUT_SECONDS,
        )
        with contextlib.closing(client.adapter):
            yield cls(client)

    @property
    def where(self) -> str:
        """Its address."""
        return str(self._client.url)

    # --- its state ------------------------------------------------------------------------------

    def await_answer(self, seconds: float) -> None:
        """Wait until it answers.

        A Service that was made this moment may lead out of the cluster, to something that answers
        for every address. So whoever answers in Vault's place is an error only if that lasts.

        Raises:
            ConfigurationError: What answers to the end is not Vault, or cannot be trusted.
            TemporaryError: Nothing answers within this time.
        """
        if not until(self._answers, seconds):
            self.seal()

    def await_active(self, seconds: float) -> None:
        """Wait until there is a server that takes requests.

        Raises:
            TemporaryError: There is none within this time.
        """
        if not until(self._is_active, seconds):
            raise self._unavailable()

    def seal(self) -> Seal:
        """Whether it is initialised and sealed.

        Raises:
            ConfigurationError: What answers is not Vault, or cannot be trusted.
            TemporaryError: Nothing answers.
        """
        try:
            told = self._ask("sys/seal-status", lambda: self._client.read("sys/seal-status"))
            return Seal(told["initialized"], told["sealed"])
        except (RefusedError, TypeError, LookupError):
            problem = ConfigurationError(
                "what answers is not Vault", where=self.where, mend="Correct SALES_VAULT_ADDR."
            )
        raise problem

    def _answers(self) -> bool:
        try:
            self.seal()
        except SetupError:
            return False
        return True

    def _is_active(self) -> bool:
        try:
            leader = self._ask("sys/leader", lambda: self._client.read("sys/leader"))
        except TemporaryError:
            return False
        return not leader["ha_enabled"] or bool(leader.get("leader_address"))

    # --- its keys -------------------------------------------------------------------------------

    def initialise(self, shares: int, threshold: int, *, recovery: bool) -> Beginning:
        """Begin its data; what it tells then, it never tells again."""
        kind = "recovery" if recovery else "secret"
        asked = {f"{kind}_shares": shares, f"{kind}_threshold": threshold}
        told = self.write("sys/init", asked)
        keys = told["recovery_keys_base64" if recovery else "keys_base64"]
        return Beginning(tuple(keys), told["root_token"])

    def unseal(self, key: str) -> None:
        """Hand in one key."""
        self.write("sys/unseal", {"key": key})

    def generate_root(self, keys: Sequence[str]) -> str:
        """A new root token, by the power of the keys; an attempt of somebody else is given up."""
        attempt = "sys/generate-root/attempt"
        self._ask(attempt, lambda: self._client.delete(attempt))
        begun = self.write(attempt, {})
        for key in keys[: begun["required"]]:
            asked = {"key": key, "nonce": begun["nonce"]}
            told = self.write("sys/generate-root/update", asked)
        return _decoded(told["encoded_token"], begun["otp"])

    # --- who we are -----------------------------------------------------------------------------

    def log_in(self, mount: str, role: str, jwt: str) -> Entry:
        """Be, from here on, whom a service account's token vouches for."""
        where = f"auth/{mount}/login"
        try:
            answer = self.write(where, {"role": role, "jwt": jwt})
        except RefusedError:
            return Entry.REFUSED
        except TemporaryError:
            return Entry.FAILED
        self._client.token = answer["auth"]["client_token"]
        return Entry.IN

    @contextlib.contextmanager
    def being(self, token: str) -> Iterator[None]:
        """Be who has this token, for a while."""
        before, self._client.token = self._client.token, token
        try:
            yield
        finally:
            self._client.token = before

    def is_known(self) -> bool:
        """Whether our token is valid."""
        try:
            return self.read("auth/token/lookup-self") is not None
        except RefusedError:
            return False

    def revoke_self(self) -> None:
        """End our token, if we have one, and be nobody."""
        if self._client.token:
            self.write("auth/token/revoke-self", {})
            self._client.token = ""

    def revoke(self, accessor: str) -> None:
        """End a token that we know by its accessor only."""
        self.write("auth/token/revoke-accessor", {"accessor": accessor})

    def other_roots(self) -> list[str]:
        """Accessors of all root tokens but ours."""
        tokens = "auth/token"
        listing = self._ask(tokens, lambda: self._client.list(f"{tokens}/accessors"))
        ours = self.read(f"{tokens}/lookup-self")["accessor"]
        return [a for a in listing["data"]["keys"] if a != ours and self._is_root(a)]

    def _is_root(self, accessor: str) -> bool:
        try:
            token = self.write("auth/token/lookup-accessor", {"accessor": accessor})["data"]
        except RefusedError:
            return False  # it ended meanwhile
        return "root" in token["policies"]

    # --- what it holds --------------------------------------------------------------------------

    def read(self, path: str) -> Any:
        """The document at a path, or none.

        Raises:
            RefusedError: We may not read it.
            TemporaryError: The server cannot be reached, or fails.
        """
        place = next((place for place in _LISTED if path.startswith(f"{place}/")), path)
        answer = self._ask(path, lambda: self._client.read(place))
        if not answer or place == path:
            return answer and answer["data"]
        return answer["data"].get(path.removeprefix(f"{place}/") + "/")

    def write(self, path: str, document: Mapping[str, Any]) -> Any:
        """Put a document to a path; gives the server's answer.

        Raises:
            RefusedError: We may not, or the server can't use it.
            TemporaryError: The server cannot be reached, or fails.
        """
        return self._ask(path, lambda: self._client.write_data(path, data=dict(document)))

    def write_when_ready(self, path: str, document: Mapping[str, Any]) -> None:
        """Write to an engine that may just have been mounted; raises as the above does."""

        def written() -> bool:
            try:
                self._client.write_data(path, data=dict(document))
            except hvac.exceptions.InvalidRequest as error:
                if _UPGRADING not in str(error):
                    raise
                return False
            return True

        if not self._ask(path, lambda: until(written, _TIMEOUT_SECONDS)):
            raise self._unavailable()

    def _ask(self, path: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except (hvac.exceptions.VaultError, OSError, ValueError) as error:
            problem = self._explain(error, path)
        raise problem

    def _explain(self, error: Exception, path: str) -> SetupError:
        if isinstance(error, _REFUSALS) or _UNSUPPORTED in str(error):
            invalid = isinstance(error, hvac.exceptions.InvalidRequest)
            return (InvalidError if invalid else RefusedError)(
                "Vault refused the request",
                where=f"{self.where} {path}",
                mend="Give the setup role this path in its policy, or correct the plan.",
            )
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain(error)):
            return ConfigurationError(
                "the certificate is not trusted, is out of date or names another host",
                where=self.where,
                mend="Point SALES_VAULT_CA_FILE at its CA, or renew it.",
            )
        return self._unavailable()

    def _unavailable(self) -> TemporaryError:
        return TemporaryError(
            "Vault cannot be reached, is sealed or fails",
            where=self.where,
            mend="`vault status` and its log tell more; what was done so far stands.",
        )


_REFUSALS: Final = (
    hvac.exceptions.InvalidRequest,
    hvac.exceptions.Unauthorized,
    hvac.exceptions.Forbidden,
    hvac.exceptions.InvalidPath,
    hvac.exceptions.UnsupportedOperation,
)


def _trust(ca_file: Path | None) -> str | bool:
    if ca_file is None:
        return True
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:
        problem = ConfigurationError(
            "the CA file cannot be read or holds no certificate",
            where=ca_file,
            mend="Point SALES_VAULT_CA_FILE at the PEM of the CA that signed Vault's certificate.",
        )
    else:
        return str(ca_file)
    raise problem


def _decoded(token: str, otp: str) -> str:
    # The pad that Vault leaves out is more than base64 ever needs here.
    scrambled = base64.b64decode(token + "==")
    return bytes(a ^ b for a, b in zip(scrambled, otp.encode(), strict=True)).decode()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
