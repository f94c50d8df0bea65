"""Brings Vault from what it is to what is wanted, one step after another."""

import base64
import logging
import secrets
from collections.abc import Sequence
from typing import assert_never

from sales_vault.errors import ConfigurationError, TemporaryError
from sales_vault.server import InvalidError, RefusedError, Server
from sales_vault.steps import (
    Connect,
    Found,
    MakeSecret,
    Refuse,
    Rotate,
    Step,
    Write,
    paths,
    plan,
)
from sales_vault.targets import AnyTarget, ConnectionTarget, Document, SecretTarget, Target
from sales_vault.waiting import until
from sales_vault.wanted import Random, RandomField, SecretFields

_log = logging.getLogger(__name__)


def converge(server: Server, wanted: Sequence[AnyTarget], seconds: float) -> int:
    """Do what is to be done; tells how many steps that were.

    Args:
        server: Where.
        wanted: What shall be there.
        seconds: How long to wait for a database: it may be waiting for what was done just before.

    Raises:
        ConfigurationError: Vault refuses a step, or something is in the way.
        TemporaryError: Vault, or a database that it is to connect to, cannot be reached.
    """
    steps = plan(wanted, find(server, wanted))
    for step in steps:
        _do(server, step, seconds)
        _log.info("brought to the plan", extra={"what": step.what, "was": state(step)})
    return len(steps)


def find(server: Server, wanted: Sequence[AnyTarget]) -> Found:
    """What is where the targets are; raises as the above does."""
    looks = {path: server.read(path) for target in wanted for path in paths(target)}
    return {path: document for path, document in looks.items() if document is not None}


def state(step: Step) -> str:
    """What made a step necessary, without any content."""
    match step:
        case Write(differs=()) | MakeSecret() | Connect():
            return "missing"
        case Write() | Refuse():
            return f"different in {', '.join(step.differs)}"
        case Rotate():
            return "known to others"
        case _:
            assert_never(step)


def _do(server: Server, step: Step, seconds: float) -> None:
    match step:
        case Write(target=Target() as target):
            _write(server, target)
        case Write(target=target):
            _reach(server, target.path, target.document, seconds)
        case MakeSecret(target=target):
            _make_secret(server, target)
        case Connect(target=target):
            _connect(server, target, seconds)
        case Rotate():
            _reach(server, step.path, {}, seconds)
            server.write(step.login.metadata, {"custom_metadata": step.custom_metadata})
        case Refuse(target=target):
            raise ConfigurationError(
                f"it is something else: {', '.join(step.differs)}",
                where=target.path,
                mend="It can't be changed, only replaced: remove it, or correct the plan.",
            )
        case _:
            assert_never(step)


def _write(server: Server, target: Target) -> None:
    try:
        server.write(target.path, {**target.document, **target.unread})
    except RefusedError as error:
        if not target.if_refused:
            raise
        raise ConfigurationError(error.what, where=error.where, mend=target.if_refused) from None


def _make_secret(server: Server, target: SecretTarget) -> None:
    # cas=0 is "only if there is none": whoever was quicker is not overwritten.
    document = {"data": _made_up(target.fields), "options": {"cas": 0}}
    try:
        server.write_when_ready(target.data_path, document)
    except RefusedError:
        if server.read(target.path) is None:
            raise


def _made_up(fields: SecretFields) -> dict[str, str]:
    return {
        name: _random_text(field.random) if isinstance(field, RandomField) else field.value
        for name, field in fields.items()
    }


def _random_text(wanted: Random) -> str:
    raw = secrets.token_bytes(wanted.bytes)
    match wanted.encoding:
        case "base64":
            text = base64.b64encode(raw).decode()
        case "base64url":
            text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        case "hex":
            text = raw.hex()
    return wanted.prefix + text


def _connect(server: Server, target: ConnectionTarget, seconds: float) -> None:
    login = (server.read(target.login.data) or {}).get("data") or {}
    if not login.get("username") or not login.get("password"):
        raise ConfigurationError(
            "there is no login: username and password are wanted",
            where=target.login.data,
            mend="Have the plan generate this secret, or write it with `vault kv put`.",
        )
    document = {**target.document, "username": login["username"], "password": login["password"]}
    _reach(server, target.path, document, seconds)


def _reach(server: Server, path: str, document: Document, seconds: float) -> None:
    def reached() -> bool:
        try:
            server.write(path, document)
        except (InvalidError, TemporaryError):
            return False
        return True

    if not until(reached, seconds, pause=1):
        raise TemporaryError(
            "Vault cannot log in to the database",
            where=f"{server.where} {path}",
            mend="Is the server up, has it the login that the secret names, with this password, and"
            " is its certificate good? Vault's log tells more; the rest of the plan is done.",
        )
