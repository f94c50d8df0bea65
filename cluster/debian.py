"""Programs that Debian and its relatives package: installed if missing, and after saying so."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence

from cluster import shell
from cluster.shell import ClusterError

# Another apt may be at work, a nightly upgrade for example.
WAITING = ("-o", "DPkg::Lock::Timeout=300")
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}


def install(programs: Mapping[str, Sequence[str]]) -> bool:
    """Make sure that programs are there.

    Args:
        programs: For each program the packages that may bring it: the first one that exists does.

    Returns:
        Whether anything had to be installed.

    Raises:
        ClusterError: Some are missing and this is no Debian, we are not root, or apt failed.
    """
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return False
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise ClusterError(
            f"missing: {', '.join(missing)}",
            where="the PATH of this machine",
            mend="Install it, or run this as root on Debian or Ubuntu, which installs it.",
        )
    with shell.step(f"installing from Debian packages: {', '.join(missing)}"):
        # An installation that was killed half-way makes apt refuse everything until this is done.
        shell.run(["dpkg", "--configure", "-a"], env=ENVIRONMENT)
        shell.run(["apt-get", *WAITING, "update"], env=ENVIRONMENT)
        packages = sorted({_first_known(programs[program]) for program in missing})
        quietly = ["install", "--yes", "--no-install-recommends"]
        shell.run(["apt-get", *WAITING, *quietly, *packages], env=ENVIRONMENT)
    return True


def _first_known(packages: Iterable[str]) -> str:
    names = list(packages)
    return next((name for name in names if shell.succeeds(["apt-cache", "show", name])), names[0])
