"""docs/rotation.md, followed as it is written: what people are told to do is what is tested."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.charts.support import program
from tests.docs import pages
from tests.e2e.kube import CONTEXT, Namespace, call

PAGE = "docs/rotation.md"
USED = ("certs", "charts", "manifests")
"""What the commands need of the project's folder, beside `python`."""
SECONDS = 400


@dataclass(frozen=True)
class Runbook:
    """A folder like the project's, and an environment whose current namespace is the one meant."""

    namespace: Namespace
    certificates: Path
    folder: Path
    _told: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, namespace: Namespace, certificates: Path, folder: Path) -> Self:
        """Ready to be followed, with certificates that are kept in a folder of their own."""
        for name in USED:
            (folder / name).symlink_to(pages.ROOT / name)
        (config := folder / "kubeconfig").touch(mode=0o600)
        view = ("config", "view", "--minify", "--flatten", "--raw", f"--context={CONTEXT}")
        config.write_text(call("kubectl", *view))
        here = ("config", "set-context", "--current", f"--namespace={namespace.name}")
        call("kubectl", f"--kubeconfig={config}", *here)
        (folder / "rotation.yaml").write_text(rights())
        return cls(namespace, certificates, folder)

    def told(self) -> str:
        """All that the commands have printed so far."""
        return "".join(self._told)

    def follow(self, heading: str) -> None:
        """Do what a section says.

        Raises:
            AssertionError: One of them failed. The text has what they said.
        """
        script = "\n".join(["set -Eeuo pipefail", *map(self._here, commands(heading))])
        path = f"{Path(sys.executable).parent}:{Path(program('kubectl')).parent}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={
                **os.environ,
                "KUBECONFIG": str(self.folder / "kubeconfig"),
                "PATH": f"{path}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{heading}: {done.stdout}\n{done.stderr}"
        self._told.extend((done.stdout, done.stderr))

    def _here(self, command: str) -> str:
        """A command for the example's namespace and folder, for ours."""
        ours = f"--namespace {self.namespace.name} --out {self.certificates}"
        return command.replace("--namespace minidata", ours)


def commands(heading: str) -> list[str]:
    """Those of a section, in their order."""
    part = pages.section(PAGE, heading)
    found = [block for block in pages.blocks("console") if block.page == pages.ROOT / PAGE]
    return [line for block in found if block.text in part for line in pages.lines(block)]


def rights() -> str:
    """The values that let in whoever rotates."""
    (block,) = (one for one in pages.blocks("yaml") if one.page == pages.ROOT / PAGE)
    return block.text
