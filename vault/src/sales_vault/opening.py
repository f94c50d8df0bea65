"""From a server that may be nobody's and closed to one that takes requests."""

import contextlib
import logging
import signal
from collections.abc import Iterator
from typing import Final

from sales_vault.errors import ConfigurationError, SetupError, TemporaryError
from sales_vault.keeper import Keeper, Kept
from sales_vault.server import RefusedError, Server
from sales_vault.settings import Settings
from sales_vault.waiting import until
from sales_vault.wanted import Initialise

_KEEP_SECONDS: Final = 600
_log = logging.getLogger(__name__)


def open_up(server: Server, keeper: Keeper | None, settings: Settings, begin: Initialise) -> None:
    """Wait for the server, begin its data and unseal it, as far as that is ours to do.

    Args:
        server: Which.
        keeper: Where its keys are; a server that initialises itself needs none.
        settings: Who unseals it, and how long to wait.
        begin: How to begin its data, if it has none.

    Raises:
        ConfigurationError: The keys are not at hand, or not those of this server.
        TemporaryError: It is not ready within the time to wait.
    """
    server.await_answer(settings.wait_seconds)
    by_keys = settings.mode in {"dev", "shamirJob"}
    if keeper and settings.mode != "selfInit" and not server.seal().initialised:
        _initialise(server, keeper, begin, recovery=not by_keys)
    if keeper and by_keys and server.seal().sealed:
        _unseal(server, keeper)
    if not until(lambda: not server.seal().sealed, settings.wait_seconds):
        raise TemporaryError(
            "the server does not unseal itself",
            where=server.where,
            mend="Its log tells what is wrong with its seal.",
        )
    server.await_active(settings.wait_seconds)


def _initialise(server: Server, keeper: Keeper, begin: Initialise, *, recovery: bool) -> None:
    if keeper.look().keys:
        raise ConfigurationError(
            "it has keys, but the server has no data",
            where=keeper.where,
            mend="Bring back the server's volume; if its data is lost for good, delete the Secret.",
        )
    keeper.prepare()
    with _undisturbed():
        told = server.initialise(begin.shares, begin.threshold, recovery=recovery)
        _keep(keeper, Kept(told.keys, told.root_token))
    _log.info("initialised; the keys are kept", extra={"kept": keeper.where})


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off the end that is asked for by SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _keep(keeper: Keeper, kept: Kept) -> None:
    """Write what exists nowhere else yet, even if that takes some tries."""

    def written() -> bool:
        try:
            keeper.keep(kept)
        except SetupError:
            return False
        return True

    if not until(written, _KEEP_SECONDS):
        raise ConfigurationError(
            "the keys could not be written, and are lost",
            where=keeper.where,
            mend="Delete the server's volume, which holds no secret yet, and run this again.",
        )


def _unseal(server: Server, keeper: Keeper) -> None:
    keys = keeper.look().keys
    if not keys:
        raise ConfigurationError(
            "the server is sealed, and the keys have been taken away",
            where=keeper.where,
            mend="Have those who hold them run `vault operator unseal`, then run this again.",
        )
    try:
        for key in keys:
            if server.seal().sealed:
                server.unseal(key)
    except RefusedError:
        problem = _strange_keys(keeper)
    else:
        if not server.seal().sealed:
            _log.info("unsealed")
            return
        problem = _strange_keys(keeper)
    raise problem


def _strange_keys(keeper: Keeper) -> ConfigurationError:
    return ConfigurationError(
        "its keys do not open this server",
        where=keeper.where,
        mend="Put back the keys that this server was initialised with, or unseal it by hand.",
    )
