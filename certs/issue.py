"""Carries out a plan, in an order that is right wherever it is cut off."""

from datetime import datetime

from certs.authority import make_authority, sign
from certs.folder import Folder
from certs.pair import Pair
from certs.plan import Found, Plan, Wanted, make_plan


def issue(folder: Folder, wanted: Wanted, now: datetime, days: int) -> tuple[Plan, Found]:
    """Keep what is good, issue what is not.

    Args:
        folder: Where the certificates are, locked against others.
        wanted: What there shall be.
        now: The moment to decide by.
        days: How long a certificate that is issued now lives.

    Returns:
        What was done and what there is afterwards.

    Raises:
        CertsError: The CA cannot be used, or a file cannot be read or written.
    """
    folder.tidy(wanted.names)
    found = folder.look(wanted.names)
    plan = make_plan(found, wanted, now)
    authority = _authority(folder, found, plan, wanted, now)
    # First the CA that signs, then the bundle that trusts it, then what it signs.
    rest = [one for one in plan.trusted if one != authority.certificate]
    folder.write_bundle([authority.certificate, *rest])
    for step in plan.leaves:
        if step.why is not None:
            leaf = sign(authority, step.name, wanted.names[step.name], now, days)
            folder.write_leaf(step.name, leaf)
    return plan, folder.look(wanted.names)


def _authority(folder: Folder, found: Found, plan: Plan, wanted: Wanted, now: datetime) -> Pair:
    if plan.authority.why is None and isinstance(found.authority, Pair):
        return found.authority
    names = [name for names in wanted.names.values() for name in names]
    authority = make_authority(names, now)
    folder.write_authority(authority)
    return authority
