"""`python -m deploy`: the whole platform on one cluster, up, looked at, and down again."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cluster import cache, kind
from cluster.shell import ClusterError, say
from deploy.door import Door
from deploy.down import down
from deploy.facts import gather
from deploy.health import judge
from deploy.page import is_well, machine, page
from deploy.place import DEFAULT, Place
from deploy.up import prepare, up


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 if it failed, or if `status` finds that not all is well."""
    asked = _parser().parse_args(argv)
    door = Door(Place(asked.context, asked.namespace, asked.release))
    try:
        code: int = asked.command(door, asked)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    return code


def _up(door: Door, asked: argparse.Namespace) -> int:
    with cache.lock("deploy"):
        print(up(door, asked.values))
    return 0


def _prepare(door: Door, _: argparse.Namespace) -> int:
    with cache.lock("deploy"):
        prepare(door)
    return 0


def _status(door: Door, asked: argparse.Namespace) -> int:
    rows = judge(gather(door), datetime.now(UTC))
    print(machine(rows) if asked.output == "json" else page(rows))
    return 0 if is_well(rows) else 1


def _down(door: Door, asked: argparse.Namespace) -> int:
    with cache.lock("deploy"):
        down(door, keep_data=asked.keep_data)
    return 0


def _parser() -> argparse.ArgumentParser:
    place = argparse.ArgumentParser(add_help=False)
    context = f"kind-{kind.name()}"
    place.add_argument("--context", default=context, help="of the kubeconfig (%(default)s)")
    place.add_argument("--namespace", default=DEFAULT.namespace, help="where (%(default)s)")
    place.add_argument("--release", default=DEFAULT.release, help="Helm's name of it (%(default)s)")
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "up", parents=[place], help="install or upgrade, until a file put under raw/ is rows"
    )
    one.add_argument(
        "--values", type=Path, action="append", default=[], help="more values; repeatable"
    )
    one.set_defaults(command=_up)
    one = commands.add_parser(
        "prepare", parents=[place], help="only what must be there before the charts"
    )
    one.set_defaults(command=_prepare)
    one = commands.add_parser(
        "status", parents=[place], help="tell how everything is; exit code 1 if not well"
    )
    one.add_argument("--output", choices=("page", "json"), default="page", help="(%(default)s)")
    one.set_defaults(command=_status)
    one = commands.add_parser("down", parents=[place], help="remove it; the cluster stays")
    one.add_argument(
        "--keep-data", action="store_true", help="keep namespace, volumes, ingests and keys"
    )
    one.set_defaults(command=_down)
    return parser


if __name__ == "__main__":
    sys.exit(main())
