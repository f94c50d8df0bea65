"""Gets the right to configure, and leaves no root token behind.

The setup role is the way in. Where it does not work yet, the root token that the server told when
it was initialised makes it; where that one is gone, the keys can order another. A root token is
kept beside the keys until the role works, so that a run that was killed can be completed.
"""

import logging

from sales_vault.converging import converge
from sales_vault.errors import ConfigurationError, TemporaryError
from sales_vault.keeper import Keeper, Kept
from sales_vault.server import Entry, RefusedError, Server
from sales_vault.settings import Settings
from sales_vault.targets import gate
from sales_vault.wanted import Plan

_log = logging.getLogger(__name__)


def enter(server: Server, keeper: Keeper | None, settings: Settings, plan: Plan) -> int:
    """Be the setup role; tells how many steps it took to let it in.

    Raises:
        ConfigurationError: The role is not let in, and nothing is at hand to change that.
        TemporaryError: Vault cannot ask Kubernetes, or fails.
    """
    entry, done = log_in(server, settings, plan), 0
    if keeper and entry is not Entry.IN and (root := _root(server, keeper)):
        with server.being(root):
            done = converge(server, gate(plan), settings.wait_seconds)
        entry = log_in(server, settings, plan)
        if entry is not Entry.IN:
            raise _not_yet(server, plan)
    if entry is not Entry.IN:
        raise _not_yet(server, plan) if entry is Entry.FAILED else _no_way_in(server, plan)
    if keeper:
        _end_root(server, keeper)
    return done


def log_in(server: Server, settings: Settings, plan: Plan) -> Entry:
    """Try to be the setup role, with this pod's token.

    Raises:
        ConfigurationError: There is no token.
    """
    try:
        jwt = settings.token_file.read_text("ascii").strip()
    except (OSError, ValueError):
        problem = ConfigurationError(
            "the service account's token cannot be read",
            where=settings.token_file,
            mend="Project one with audience `vault` there, or set SALES_VAULT_TOKEN_FILE.",
        )
    else:
        return server.log_in(plan.kubernetes.mount, plan.setup_role, jwt)
    raise problem


def _root(server: Server, keeper: Keeper) -> str | None:
    kept = keeper.look()
    if kept.root_token and _is_valid(server, kept.root_token):
        return kept.root_token
    if not kept.keys:
        return None
    try:
        root = server.generate_root(kept.keys)
    except RefusedError:
        _log.warning("the server does not let the keys order a root token")
        return None
    keeper.keep(Kept(kept.keys, root))
    _log.info("a root token was ordered with the keys")
    return root


def _is_valid(server: Server, token: str) -> bool:
    with server.being(token):
        return server.is_known()


def _end_root(server: Server, keeper: Keeper) -> None:
    root = keeper.look().root_token
    if not root:
        return
    with server.being(root):
        if server.is_known():
            # A run that was killed may have ordered one that it could not keep.
            for accessor in server.other_roots():
                server.revoke(accessor)
            server.revoke_self()
    keeper.drop_root()
    _log.info("the root token is revoked and forgotten")


def _where(server: Server, plan: Plan) -> str:
    return f"{server.where} role {plan.setup_role}"


def _not_yet(server: Server, plan: Plan) -> TemporaryError:
    return TemporaryError(
        "Vault does not let the role in",
        where=_where(server, plan),
        mend="Is it unsealed, can it reach Kubernetes' API, and may it review tokens there? Does"
        " this pod run as the role's service account?",
    )


def _no_way_in(server: Server, plan: Plan) -> ConfigurationError:
    return ConfigurationError(
        "Vault does not let the role in, and there is no root token to change that",
        where=_where(server, plan),
        mend="Put one into the Secret that SALES_VAULT_KEYS_SECRET names, as `root-token`, and run"
        " this again: it is revoked in the end. `vault operator generate-root` makes one where the"
        ' server is configured with `enable_unauthenticated_access = ["generate-root"]` (Vault),'
        " or its listener with `disable_unauthed_generate_root_endpoints = false` (OpenBao).",
    )
