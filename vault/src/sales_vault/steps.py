"""What is to be done, decided from what is wanted and what was found. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sales_vault.targets import (
    AnyTarget,
    ConnectionTarget,
    Document,
    LoginPaths,
    SecretTarget,
    Target,
)

Found = Mapping[str, Document]
"""Documents by path; a path where nothing is has no entry."""

MARK = "rotated"
"""In a login's custom metadata: Vault has changed its password since."""


class _OfTarget:
    target: AnyTarget

    @property
    def what(self) -> str:
        """Its name in logs and messages."""
        return self.target.what


@dataclass(frozen=True)
class Write(_OfTarget):
    """Put a document where it is wanted."""

    target: Target | ConnectionTarget
    differs: tuple[str, ...]
    """The fields that are not as wanted; none: there was nothing."""


@dataclass(frozen=True)
class Refuse(_OfTarget):
    """Say that what is there is in the way, and that only a human can move it."""

    target: Target
    differs: tuple[str, ...]


@dataclass(frozen=True)
class MakeSecret(_OfTarget):
    """Make a secret where none ever was."""

    target: SecretTarget


@dataclass(frozen=True)
class Connect(_OfTarget):
    """Make a connection with the login of its secret."""

    target: ConnectionTarget


@dataclass(frozen=True)
class Rotate:
    """Have Vault change the login's password, and mark its secret."""

    what: str
    path: str
    login: LoginPaths
    custom_metadata: Document


Step = Write | Refuse | MakeSecret | Connect | Rotate


def plan(wanted: Iterable[AnyTarget], found: Found) -> list[Step]:
    """The steps from what is to what shall be, in order; none if nothing differs."""
    return [step for target in wanted for step in _steps(target, found)]


def paths(target: AnyTarget) -> tuple[str, ...]:
    """Where to look before deciding about a target."""
    match target:
        case ConnectionTarget(login=login):
            return (target.path, login.metadata)
        case _:
            return (target.path,)


def _steps(target: AnyTarget, found: Found) -> Iterator[Step]:
    match target:
        case Target():
            yield from _document(target, found.get(target.path))
        case SecretTarget():
            if target.path not in found:
                yield MakeSecret(target)
        case ConnectionTarget():
            yield from _connection(target, found)


def _document(target: Target, there: Document | None) -> Iterator[Step]:
    if there is None:
        yield Write(target, ())
    elif differs := _differs(target.document, there):
        yield Refuse(target, differs) if target.fixed else Write(target, differs)


def _connection(target: ConnectionTarget, found: Found) -> Iterator[Step]:
    there = found.get(target.path)
    if there is None:
        yield Connect(target)
    elif differs := _differs(target.document, {**there, **there.get("connection_details", {})}):
        # Without a login: the server keeps the one that it has, which nobody else may know.
        yield Write(target, differs)
    marks = found.get(target.login.metadata, {}).get("custom_metadata") or {}
    if target.rotate_path and (there is None or MARK not in marks):
        yield Rotate(
            f"login of {target.what}", target.rotate_path, target.login, {**marks, MARK: "true"}
        )


def _differs(wanted: Document, there: Document) -> tuple[str, ...]:
    return tuple(name for name, value in wanted.items() if there.get(name) != value)
