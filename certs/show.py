"""Tells people about certificates: what there is, and how long still."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from certs.health import Health, age, days_left, health
from certs.pair import Damaged, Pair, names_of
from certs.plan import ASKED, Found, Plan, Step

_HEAD: Final = ("CERTIFICATE", "STATE", "DAYS LEFT", "EXPIRES", "ISSUER", "NAMES")
_DAYS_LEFT: Final = _HEAD.index("DAYS LEFT")


@dataclass(frozen=True)
class Row:
    """One certificate, or what is there, or not there, in its place."""

    name: str
    state: Health
    content: x509.Certificate | Damaged | None

    def cells(self, now: datetime) -> tuple[str, ...]:
        """What the table says of it."""
        match self.content:
            case None:
                told = ("", "", "", "")
            case Damaged(what):
                told = ("", "", "", what)
            case certificate:
                told = (
                    str(days_left(certificate, now)),
                    f"{certificate.not_valid_after_utc:%Y-%m-%d}",
                    _common_name(certificate.issuer),
                    " ".join(names_of(certificate)),
                )
        return (self.name, self.state, *told)


def rows_of(found: Found, now: datetime) -> list[Row]:
    """A row for each CA that is trusted and for each service."""
    return [*_authority_rows(found, now), *(_leaf_row(name, found, now) for name in found.leaves)]


def table(rows: Iterable[Row], now: datetime) -> str:
    """The rows as text, in columns."""
    return _columns([_HEAD, *(row.cells(now) for row in rows)])


def summary(plan: Plan, found: Found, now: datetime) -> str:
    """What a run did and what is left of each certificate, a line for each.

    Args:
        plan: What was done.
        found: What there is since.
        now: The moment from which days are counted.
    """
    cells = {row.name: row.cells(now) for row in rows_of(found, now)}
    return _columns([_done(step, cells[step.name]) for step in (plan.authority, *plan.leaves)])


def advice(plan: Plan, found: Found, now: datetime) -> str | None:
    """What people should do next, if anything."""
    if plan.authority.why == ASKED:
        return (
            "ca.crt holds the old CA and the new one. Bring it to all clients (apply, then restart "
            "them), then let the new one sign: issue --renew, apply."
        )
    if age(found.bundle[0], now) is Health.DUE:
        return "The CA has less than a third of its life left: let a new one follow by --renew-ca."
    return None


def _done(step: Step, cells: Sequence[str]) -> tuple[str, ...]:
    verdict = "kept" if step.why is None else "issued"
    return (step.name, verdict, f"{cells[_DAYS_LEFT]} days left", step.why or "")


def _authority_rows(found: Found, now: datetime) -> list[Row]:
    names = ["ca", *["ca, former"] * len(found.bundle)]
    trusted = [
        Row(name, age(one, now), one) for name, one in zip(names, found.bundle, strict=False)
    ]
    if isinstance(found.authority, Damaged):
        return [Row("ca", Health.DAMAGED, found.authority), *trusted]
    return trusted or [Row("ca", Health.MISSING, None)]


def _leaf_row(name: str, found: Found, now: datetime) -> Row:
    leaf = found.leaves[name]
    content = leaf.certificate if isinstance(leaf, Pair) else leaf
    return Row(name, health(leaf, found.bundle, now), content)


def _common_name(name: x509.Name) -> str:
    return " ".join(str(part.value) for part in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def _columns(lines: Iterable[Sequence[str]]) -> str:
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in padded)
