"""`python -m cluster`: a real Kubernetes cluster on this machine, and the images to run on it."""

import argparse
import sys
from collections.abc import Sequence

from cluster import cache, engine, gobuild, images, kind, pins
from cluster.docker import Docker
from cluster.roads import Choice, find
from cluster.shell import ClusterError, say, step

EPILOG = """\
Environment:
  MINIDATA_CACHE     where all that was built is kept (default ~/.cache/minidata)
  MINIDATA_CLUSTER   name of the cluster (default minidata)
  MINIDATA_REGISTRY  host:port of a registry that mirrors the public ones, on the online road
  MINIDATA_BUILD_IMAGE  image to build ours in, on the online road: one that trusts your proxy
  DOCKER_HOST        a Docker engine to use; otherwise the running one, or one of our own

Roads:
  online    published images are pulled
  packages  nothing is pulled: Debian's and Go's and Python's packages make all that is needed.
            Where no Docker runs, this installs Debian's packages for it (as root), and says so
  auto      online if the registry answers, packages otherwise
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 if it failed, with what, where and how to mend it on standard error."""
    args = _parser().parse_args(argv)
    try:
        with cache.lock("cluster"):
            args.command(args)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    return 0


def _up(args: argparse.Namespace) -> None:
    choice = _choice(args)
    opened = kind.open_kind(_docker())
    kind.ensure(opened, choice, args.nodes)
    say(f"kubectl speaks to it as context kind-{kind.name()}; tools are in {cache.binaries()}")


def _down(_: argparse.Namespace) -> None:
    found = engine.find()
    if found is None:
        say("no Docker engine, so no cluster: nothing to remove")
        return
    opened = kind.open_kind(Docker(found))
    with step(f"remove the cluster {kind.name()}"):
        opened.delete()
    if opened.clusters():
        say("the engine goes on: it runs other clusters")
    else:
        engine.stop()


def _images(args: argparse.Namespace) -> None:
    choice = _choice(args)
    images.ensure(_docker(), choice)
    # Tools and nodes come before images: by now every program is there.
    gobuild.drop_sources()


def _load(args: argparse.Namespace) -> None:
    choice = _choice(args)
    docker = _docker()
    if not kind.open_kind(docker).exists():
        raise ClusterError(f"there is no cluster {kind.name()}", mend="Run `make cluster` first.")
    images.load(docker, kind.name(), images.ensure(docker, choice))


def _tools(_: argparse.Namespace) -> None:
    for tool in gobuild.ensure_tools((*pins.HOST_TOOLS, pins.MINIO_SERVER)):
        print(cache.binaries() / tool)


def _docker() -> Docker:
    return Docker(engine.ensure())


def _choice(args: argparse.Namespace) -> Choice:
    choice = find(args.road)
    say(f"road: {choice.road} ({choice.reason})")
    return choice


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="make the cluster, or see that it is well")
    up.add_argument("--nodes", type=int, choices=sorted(kind.CONFIGURATIONS), default=1)
    up.set_defaults(command=_up)
    down = commands.add_parser("down", help="remove the cluster and stop what was started for it")
    down.set_defaults(command=_down)
    built = commands.add_parser("images", help="build or pull all images that have changed")
    built.set_defaults(command=_images)
    load = commands.add_parser("load", help="put all images into the nodes that lack them")
    load.set_defaults(command=_load)
    tools = commands.add_parser(
        "tools", help="make kind, kubectl, helm, mc and minio; print their paths"
    )
    tools.set_defaults(command=_tools)
    for command in (up, built, load):
        command.add_argument("--road", default="auto", help="auto, online or packages")
    return parser


if __name__ == "__main__":
    sys.exit(main())
