"""Decides what is kept and what is issued, and why. Pure: values and a clock in, a plan out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from certs.authority import fault_of, refused_names
from certs.errors import CertsError
from certs.health import Health, age, health
from certs.pair import Damaged, Pair, names_of

ASKED: Final = "asked for"
OTHER_NAMES: Final = "other names are wanted"


@dataclass(frozen=True)
class Found:
    """What the folder holds.

    Args:
        authority_file: Where the CA's certificate and key lie, for messages.
        authority: The CA that signs.
        bundle: The CAs that clients trust: that one, and those it took over from.
        leaves: The services' certificates by name.
    """

    authority_file: Path
    authority: Pair | Damaged | None
    bundle: tuple[x509.Certificate, ...]
    leaves: Mapping[str, Pair | Damaged | None]


@dataclass(frozen=True)
class Wanted:
    """What there shall be.

    Args:
        names: The names of each service's certificate.
        renew: Whether to issue every service's certificate anew.
        renew_authority: Whether a new CA takes over.
    """

    names: Mapping[str, tuple[str, ...]]
    renew: bool = False
    renew_authority: bool = False


@dataclass(frozen=True)
class Step:
    """What becomes of one certificate; `why` it is issued, or None if it is kept."""

    name: str
    why: str | None


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Args:
        authority: Of the CA.
        leaves: Of the services' certificates.
        trusted: The CAs found that clients go on trusting, whichever signs from now on.
    """

    authority: Step
    leaves: tuple[Step, ...]
    trusted: tuple[x509.Certificate, ...]


def make_plan(found: Found, wanted: Wanted, now: datetime) -> Plan:
    """Decide about each certificate.

    A CA that is replaced stays trusted until it expires, and so do the certificates that it
    signed: clients that have not seen the new CA yet must not lose their servers.

    Raises:
        CertsError: The CA cannot be used and must not be replaced without being told to.
    """
    authority = Step("ca", _why_authority(found, wanted, now))
    trusted = _trusted(found, now)
    leaves = tuple(
        Step(name, _why_leaf(found.leaves.get(name), names, trusted, wanted, now))
        for name, names in wanted.names.items()
    )
    return Plan(authority, leaves, trusted)


def _trusted(found: Found, now: datetime) -> tuple[x509.Certificate, ...]:
    signing = [found.authority.certificate] if isinstance(found.authority, Pair) else []
    known = dict.fromkeys([*signing, *found.bundle])
    return tuple(one for one in known if age(one, now) is not Health.EXPIRED)


def _why_leaf(
    leaf: Pair | Damaged | None,
    names: tuple[str, ...],
    trusted: tuple[x509.Certificate, ...],
    wanted: Wanted,
    now: datetime,
) -> str | None:
    state = health(leaf, trusted, now)
    if state is not Health.OK:
        return f"{state}: {leaf.what}" if isinstance(leaf, Damaged) else state.value
    if isinstance(leaf, Pair) and set(names_of(leaf.certificate)) != set(names):
        return OTHER_NAMES
    return ASKED if wanted.renew else None


def _why_authority(found: Found, wanted: Wanted, now: datetime) -> str | None:
    if found.authority is None and not found.bundle:
        return Health.MISSING.value
    if wanted.renew_authority:
        return ASKED
    _check_authority(found, now)
    _check_names(found, wanted)
    return None


def _check_authority(found: Found, now: datetime) -> None:
    if what := _authority_fault(found.authority, now):
        raise CertsError(
            f"the CA cannot be used: {what}",
            where=found.authority_file,
            mend="Put back the right file, or let a new CA take over with --renew-ca.",
        )


def _authority_fault(authority: Pair | Damaged | None, now: datetime) -> str | None:
    match authority:
        case None:
            return "the file is missing, though ca.crt is there"
        case Damaged(what):
            return what
        case Pair(certificate):
            return fault_of(certificate) or _age_fault(certificate, now)


def _age_fault(authority: x509.Certificate, now: datetime) -> str | None:
    state = age(authority, now)
    if state is Health.EXPIRED:
        return f"it expired on {authority.not_valid_after_utc:%Y-%m-%d}"
    if state is Health.EARLY:
        return f"it is not valid before {authority.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return None


def _check_names(found: Found, wanted: Wanted) -> None:
    names = [name for names in wanted.names.values() for name in names]
    if not isinstance(found.authority, Pair):
        return
    if refused := refused_names(found.authority.certificate, names):
        raise CertsError(
            f"the CA's name constraints don't permit {', '.join(refused)}",
            where=found.authority_file,
            mend="Let a new CA that does take over with --renew-ca, or choose another --out.",
        )
