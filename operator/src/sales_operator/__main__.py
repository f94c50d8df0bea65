"""The program: `sales-operator run --settings FILE`."""

import argparse
import asyncio
import logging
import os
import sys
from importlib import metadata
from pathlib import Path

from sales_operator import logs
from sales_operator.certificate import CertificateError
from sales_operator.cluster import Cluster, ClusterError
from sales_operator.replica import LeaseLostError, Replica
from sales_operator.settings import Settings, SettingsError, read_settings

log = logging.getLogger("sales_operator")

EX_UNAVAILABLE = 69
EX_TEMPFAIL = 75
EX_CONFIG = 78
DEFAULT = Path("/etc/sales-operator/settings.yaml")


def main() -> None:
    """Run the command line; ends the process."""
    asked = _parser().parse_args()
    try:
        settings = read_settings(asked.settings)
    except SettingsError as error:
        print(f"sales-operator: {error}", file=sys.stderr)  # noqa: T201 - a person reads it
        sys.exit(EX_CONFIG)
    if asked.command == "check":
        print("the settings can be used")  # noqa: T201
        return
    logs.start(asked.log_level)
    with asyncio.Runner() as runner:
        code = runner.run(_run(settings))
        logging.shutdown()
        # Not by leaving the block: that would wait for threads that wait for the object store.
        os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sales-operator",
        description="Runs a pipeline Job for each batch of sales files that a SalesIngest names.",
    )
    version = metadata.version("sales-operator")
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in {"run": "Work until told to stop.", "check": "Check the settings."}.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--settings", type=Path, default=DEFAULT, help="the YAML file (%(default)s)"
        )
        levels = ["debug", "info", "warning"]
        command.add_argument("--log-level", default="info", choices=levels, help="(%(default)s)")
    return parser


async def _run(settings: Settings) -> int:
    try:
        cluster = await Cluster.connect()
    except ClusterError as error:
        log.error("not started", extra={"why": str(error)})  # noqa: TRY400
        return EX_UNAVAILABLE
    try:
        await Replica(settings, cluster).serve()
    except LeaseLostError:
        return EX_TEMPFAIL
    except CertificateError as error:
        log.error("not started", extra={"why": str(error)})  # noqa: TRY400
        return EX_CONFIG
    except Exception:
        log.exception("ended by a defect")
        return 1
    finally:
        await cluster.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    main()
