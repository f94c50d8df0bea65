"""The spine: open the server, get in, bring it to the plan, leave."""

import contextlib
import logging
from collections.abc import Iterator

from sales_vault.converging import converge, find, state
from sales_vault.entering import enter, log_in
from sales_vault.errors import ConfigurationError, SetupError, TemporaryError
from sales_vault.keeper import Keeper
from sales_vault.opening import open_up
from sales_vault.server import Entry, Server
from sales_vault.settings import Settings
from sales_vault.steps import plan as plan_steps
from sales_vault.targets import gate, rest
from sales_vault.wanted import Plan

_log = logging.getLogger(__name__)


def set_up(settings: Settings, plan: Plan) -> int:
    """Bring Vault to the plan; tells how many steps that took.

    Raises:
        ConfigurationError: A human must act.
        TemporaryError: Something around it failed: run it again.
    """
    keeper = Keeper(settings, settings.keys_secret) if settings.keys_secret else None
    with Server.connect(settings) as server, _leaving(server):
        open_up(server, keeper, settings, plan.initialise)
        done = enter(server, keeper, settings, plan)
        # Apart: a role that is about to get a right needs it to look at what comes then.
        for wanted in (gate(plan), rest(plan)):
            done += converge(server, wanted, settings.wait_seconds)
        return done


def differences(settings: Settings, plan: Plan) -> list[str]:
    """What `set_up` would do, a line each; raises as it does."""
    with Server.connect(settings) as server, _leaving(server):
        server.await_answer(settings.wait_seconds)
        if (entry := log_in(server, settings, plan)) is not Entry.IN:
            kind = TemporaryError if entry is Entry.FAILED else ConfigurationError
            raise kind(
                "Vault does not let the role in",
                where=f"{server.where} role {plan.setup_role}",
                mend="Run `sales-vault setup` first; is Vault unsealed, and Kubernetes' API up?",
            )
        wanted = [*gate(plan), *rest(plan)]
        found = find(server, wanted)
        return [f"{step.what}: {state(step)}" for step in plan_steps(wanted, found)]


@contextlib.contextmanager
def _leaving(server: Server) -> Iterator[None]:
    try:
        yield
    finally:
        try:
            server.revoke_self()
        except SetupError:
            # A token left to its short time to live should neither fail a run nor hide why it did.
            _log.warning("the token of the setup role was not revoked; it ends by itself")
