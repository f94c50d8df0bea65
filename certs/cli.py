"""The command line: words in, text and an exit code out."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from certs import kubectl
from certs.authority import CA_DAYS
from certs.errors import CertsError
from certs.folder import open_folder
from certs.issue import issue
from certs.manifests import make_manifests
from certs.plan import Wanted
from certs.services import SERVICES, is_dns_name, is_namespace
from certs.show import advice, rows_of, summary, table

OUT: Final = Path(__file__).parent / "out"
NAMES: Final = [service.name for service in SERVICES]
UNUSABLE, FAILED = 1, 2


def main(words: Sequence[str] | None = None, now: datetime | None = None) -> int:
    """Run a command.

    Args:
        words: What follows `python -m certs`; by default what this process was called with.
        now: The moment to judge by, in whole seconds as certificates have them; by default now.

    Returns:
        0; 1 if `show` shows a certificate that clients refuse; 2 if something failed.
    """
    asked = _parser().parse_args(words)
    commands = {"issue": _issue, "show": _show, "apply": _apply}
    try:
        return commands[asked.command](asked, now or datetime.now(UTC).replace(microsecond=0))
    except CertsError as error:
        sys.stderr.write(f"certs: {error}\n")
        return FAILED


def _issue(asked: argparse.Namespace, now: datetime) -> int:
    extra = {name: [dns for service, dns in asked.dns if service == name] for name in NAMES}
    wanted = Wanted(
        {service.name: service.names(asked.namespace, extra[service.name]) for service in SERVICES},
        renew=asked.renew,
        renew_authority=asked.renew_ca,
    )
    with open_folder(asked.out, create=True) as folder:
        plan, found = issue(folder, wanted, now, asked.days)
    _say(summary(plan, found, now))
    if hint := advice(plan, found, now):
        _say(hint)
    return 0


def _show(asked: argparse.Namespace, now: datetime) -> int:
    with open_folder(asked.out) as folder:
        rows = rows_of(folder.look(NAMES), now)
    _say(table(rows, now))
    return 0 if all(row.state.is_usable for row in rows) else UNUSABLE


def _apply(asked: argparse.Namespace, now: datetime) -> int:
    with open_folder(asked.out) as folder:
        manifests = make_manifests(folder.look(NAMES), asked.namespace, now)
    kubectl.apply(manifests, asked.context)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


# --- the words ----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR", help="the folder (default: certs/out)"
    )
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--namespace",
        type=_namespace,
        default="minidata",
        metavar="NS",
        help="the Kubernetes namespace of the services (default: %(default)s)",
    )
    parser = argparse.ArgumentParser(
        prog="python -m certs",
        description="TLS certificates for " + ", ".join(NAMES) + ", signed by a CA of their own.",
        epilog="certs/README.md tells more.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_issue(commands, [place, folder])
    commands.add_parser(
        "show",
        parents=[folder],
        help="list what there is",
        description="List the certificates. The exit code is 1 if clients would refuse one of "
        "them, because it is expired, missing, damaged or signed by a CA not in ca.crt.",
    )
    apply = commands.add_parser(
        "apply",
        parents=[place, folder],
        help="bring them to Kubernetes",
        description="Create or update a Secret NAME-tls (tls.crt, tls.key, ca.crt) for each "
        "service and the ConfigMap minidata-ca (ca.crt) for their clients.",
        epilog="kubectl is $MINIDATA_KUBECTL, or the one that `make cluster` brings, or on PATH.",
    )
    apply.add_argument("--context", help="of the kubeconfig (default: the current one)")
    return parser


def _add_issue(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: list[argparse.ArgumentParser],
) -> None:
    command = commands.add_parser(
        "issue",
        parents=parents,
        help="make what is missing or due",
        description="Make the CA and a certificate for each service. What is valid, for the same "
        "names, and has a third of its life left is kept: run it as often as you like.",
    )
    command.add_argument(
        "--days",
        type=_days,
        default=90,
        metavar="N",
        help="how long a certificate issued now lives (default: %(default)s)",
    )
    command.add_argument(
        "--dns",
        type=_extra_name,
        action="append",
        default=[],
        metavar="SERVICE=NAME",
        help="a further DNS name for a service, such as metabase=sales.example.org; repeatable, "
        "and to be given each time",
    )
    command.add_argument(
        "--renew", action="store_true", help="issue every service's certificate anew, keep the CA"
    )
    command.add_argument(
        "--renew-ca",
        action="store_true",
        help="let a new CA sign from now on; ca.crt holds the old one too until it expires, and "
        "certificates signed by it are kept until they are due",
    )


def _namespace(text: str) -> str:
    if not is_namespace(text):
        raise argparse.ArgumentTypeError(f"no name of a namespace: {text!r}")
    return text


def _days(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= CA_DAYS):
        raise argparse.ArgumentTypeError(f"not a number of days from 1 to {CA_DAYS}: {text!r}")
    return int(text)


def _extra_name(text: str) -> tuple[str, str]:
    service, _, name = text.partition("=")
    if service not in NAMES or not is_dns_name(name):
        raise argparse.ArgumentTypeError(
            f"not SERVICE=NAME with a service of {', '.join(NAMES)} and a DNS name: {text!r}"
        )
    return service, name
