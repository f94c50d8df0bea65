"""The door to a Docker engine: images told apart by the recipe that they were made from."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import cache
from cluster.engine import Engine
from cluster.shell import ClusterError, run, succeeds

LABEL = "io.minidata.recipe"
"""Label of every image made here: the digest of all that went into it."""


@dataclass(frozen=True)
class Build:
    """An image made by a Dockerfile."""

    image: str
    dockerfile: Path
    context: Mapping[str, Path]
    """Path inside the build context -> the file or folder that is laid there."""
    args: Mapping[str, str]
    bases: tuple[str, ...] = ()
    """Recipes of the images that it builds upon."""

    @property
    def recipe(self) -> str:
        """Digest of all that the image depends on."""
        words = [self.image, *self.bases]
        words += [f"{name}={value}" for name, value in sorted(self.args.items())]
        files = [self.dockerfile]
        for inside, source in sorted(self.context.items()):
            words.append(inside)
            # What lies in the cache is named by its own recipe; hashing it again would be slow.
            if source.is_relative_to(cache.root()):
                words.append(str(source.relative_to(cache.root())))
            else:
                found = files_below(source)
                words += [str(file.relative_to(source)) for file in found]
                files += found
        return cache.digest(words, files)


def files_below(source: Path) -> list[Path]:
    """The file itself, or all files of a folder but for what Python leaves lying about."""
    if source.is_file():
        return [source]
    return sorted(f for f in source.rglob("*") if f.is_file() and "__pycache__" not in f.parts)


@dataclass(frozen=True)
class Docker:
    """Commands to one engine."""

    engine: Engine

    def call(self, *args: str | Path) -> str:
        """Run `docker` with these arguments; its standard output."""
        return run(["docker", *args], env=self.env)

    @property
    def env(self) -> dict[str, str]:
        """What a program needs to find the engine."""
        return dict(self.engine.env)

    def has(self, image: str) -> bool:
        """Whether the engine holds an image of this name."""
        return succeeds(["docker", "image", "inspect", image], env=self.env)

    def recipe(self, image: str) -> str:
        """The recipe that an image was made from; empty for one made elsewhere, or none."""
        if not self.has(image):
            return ""
        form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
        return self.call("image", "inspect", "--format", form, image).strip()

    def identity(self, image: str) -> str:
        """The engine's id of an image."""
        return self.call("image", "inspect", "--format", "{{.Id}}", image).strip()

    def build(self, build: Build) -> None:
        """Build an image and label it with its recipe."""
        context = cache.root() / "contexts" / build.image.replace("/", "_").replace(":", "_")
        cache.remove(context)
        for inside, source in build.context.items():
            lay(source, context / inside)
        options = ["--network=host", "--force-rm", f"--tag={build.image}"]
        options += [f"--label={LABEL}={build.recipe}", f"--file={build.dockerfile}"]
        options += [f"--build-arg={name}={value}" for name, value in build.args.items()]
        log = cache.log_file(f"build-{build.image.replace('/', '_')}")
        run(["docker", "build", *options, context], env=self.env | self._builder(), log=log)
        cache.remove(context)
        # What the image was before has no name any more.
        self.call("image", "prune", "--force", "--filter", f"label={LABEL}")

    def import_root(self, image: str, root: Path, recipe: str, changes: Sequence[str] = ()) -> None:
        """Make an image of a root file system in a tar."""
        lines = [f"LABEL {LABEL}={recipe}", *changes]
        self.call("import", *(f"--change={line}" for line in lines), root, image)

    def pipe(self, *args: str, into: Sequence[str]) -> None:
        """Run one `docker` command with its output as the other's input.

        Raises:
            ClusterError: Either failed.
        """
        env = os.environ | self.env
        with subprocess.Popen(["docker", *args], env=env, stdout=subprocess.PIPE) as source:
            sink = subprocess.run(
                ["docker", *into], env=env, stdin=source.stdout, capture_output=True, check=False
            )
        if source.returncode or sink.returncode:
            told = sink.stderr.decode(errors="replace").strip()
            raise ClusterError(f"docker {args[0]} into docker {into[0]} failed: {told}")

    def _builder(self) -> dict[str, str]:
        # BuildKit's client is a plug-in that Debian does not package; the old builder does as well.
        known = succeeds(["docker", "buildx", "version"], env=self.env)
        return {} if known else {"DOCKER_BUILDKIT": "0"}


def lay(source: Path, target: Path) -> None:
    """Copy a file or folder, by a hard link where one is possible: contexts hold large programs."""
    if source.is_dir():
        for file in files_below(source):
            lay(file, target / file.relative_to(source))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        shutil.copy2(source, target)
