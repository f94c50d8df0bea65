"""Runs a rendered pod's container as a plain process: its very command, files and environment.

Volumes become folders under one root, filled with what the pod says belongs there; paths and
addresses in arguments and environment are rewritten to lead to them. What a kubelet alone can do
(users, read-only mounts, limits) is left to the tests on a cluster.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.charts.support import Document, Pod

Files = Mapping[str, Mapping[str, str]]
"""By name of Secret or ConfigMap: key to text."""


@dataclass(frozen=True)
class LocalPod:
    """The only container of a pod, ready to run."""

    container: Document
    root: Path
    addresses: Mapping[str, str]
    """What in the rendered texts stands for what on this machine."""

    @classmethod
    def make(cls, pod: Pod, root: Path, files: Files, addresses: Mapping[str, str]) -> "LocalPod":
        """Lay the pod's files out.

        Args:
            pod: One with a single container.
            root: What stands for the container's root folder. Volumes without content are kept.
            files: The Secrets and ConfigMaps of the cluster.
            addresses: What to write instead of addresses that only a cluster knows.

        Raises:
            LookupError: The pod asks for a Secret, ConfigMap or key that is not there.
        """
        (container,) = pod.spec["containers"]
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
        for mount in container["volumeMounts"]:
            folder = root / mount["mountPath"].lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            _fill(folder, volumes.get(mount["name"], {}), files)
        return cls(container, root, addresses)

    @property
    def argv(self) -> list[str]:
        """Command and arguments."""
        words = (*self.container.get("command", []), *self.container.get("args", []))
        return [self._here(word) for word in words]

    @property
    def environ(self) -> dict[str, str]:
        """The environment, without a PATH."""
        return {entry["name"]: self._here(entry["value"]) for entry in self.container["env"]}

    def _here(self, text: str) -> str:
        for mount in self.container["volumeMounts"]:
            path = mount["mountPath"]
            if text == path or text.startswith(f"{path}/"):
                return f"{self.root}{text}"
        for address, replacement in self.addresses.items():
            text = text.replace(address, replacement)
        return text


def toolbox(folder: Path, programs: Iterable[Path | str], *, shell: str) -> str:
    """A PATH on which nothing is found but the given programs, and `sh`."""
    _empty(folder)
    found = {Path(p).name: shutil.which(p) for p in programs} | {"sh": shutil.which(shell)}
    for name, path in found.items():
        assert path, f"{name} is not installed"
        (folder / name).symlink_to(path)
    return str(folder)


def _fill(folder: Path, volume: Document, files: Files) -> None:
    """Make a volume's content; what lies in a claim stays."""
    if volume.keys() & {"secret", "configMap", "projected", "emptyDir"}:
        _empty(folder)
    for source in (volume, *volume.get("projected", {}).get("sources", [])):
        for kind in source.keys() & {"secret", "configMap"}:
            _write(folder, source[kind], files)


def _write(folder: Path, source: Document, files: Files) -> None:
    name = source.get("secretName") or source["name"]
    texts = files.get(name, {}) if source.get("optional") else files[name]
    for item in source.get("items") or [{"key": key, "path": key} for key in texts]:
        if source.get("optional") and item["key"] not in texts:
            continue
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[item["key"]], "utf-8")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
