"""In which state a certificate is at a given moment."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from certs.pair import Damaged, Pair, is_issued_by


class Health(StrEnum):
    """Only the first two are fit for use."""

    OK = "ok"
    DUE = "due"
    EXPIRED = "expired"
    EARLY = "not valid yet"
    UNTRUSTED = "untrusted"
    DAMAGED = "damaged"
    MISSING = "missing"

    @property
    def is_usable(self) -> bool:
        """Whether clients accept it."""
        return self in (Health.OK, Health.DUE)


def age(certificate: x509.Certificate, now: datetime) -> Health:
    """Where the moment lies in a certificate's life; with less than a third left it is due."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return Health.EARLY
    if now > end:
        return Health.EXPIRED
    return Health.DUE if end - now < (end - begin) / 3 else Health.OK


def health(
    leaf: Pair | Damaged | None, trusted: Iterable[x509.Certificate], now: datetime
) -> Health:
    """What clients who trust these CAs, and the calendar, say of a service's certificate."""
    match leaf:
        case None:
            return Health.MISSING
        case Damaged():
            return Health.DAMAGED
        case Pair():
            known = any(is_issued_by(leaf.certificate, issuer) for issuer in trusted)
            return age(leaf.certificate, now) if known else Health.UNTRUSTED


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Whole days until it expires; negative once it has."""
    return (certificate.not_valid_after_utc - now) // timedelta(days=1)
