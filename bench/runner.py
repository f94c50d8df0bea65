"""Runs sides: each in its own process, in alternating order, on a settled machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import machine
from bench.ground import TEMPLATE, Ground, Place
from bench.results import Run, Side
from sales_pipeline.generate import GeneratedFile, GenerateSpec, file_name, write_file
from sales_pipeline.settings import PREFIX

REPOSITORY = Path(__file__).parents[1]
ERROR_RATE = 0.01
_TOLD_OF_AN_ERROR = 2000


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    rows: int
    repeats: int
    quick: bool
    sizes: tuple[int, ...]
    """Bytes of the files whose memory is measured."""


@dataclass(frozen=True)
class Contender:
    """A side, and how to run it once."""

    name: str
    what: str
    run: Callable[[], Run]


class Bench:
    """What every measure needs: the ground, the options, the files, somebody to tell."""

    def __init__(self, ground: Ground, folder: Path, options: Options, console: Console) -> None:
        self.ground = ground
        self.options = options
        self._folder = folder
        self._console = console
        self._files: dict[GenerateSpec, tuple[Path, GeneratedFile]] = {}
        self._scratch = 0

    @property
    def spec(self) -> GenerateSpec:
        """The usual file: shaped as the seed, one row in a hundred bad."""
        return GenerateSpec(rows=self.options.rows, error_rate=ERROR_RATE)

    def file(self, spec: GenerateSpec) -> tuple[Path, GeneratedFile]:
        """A file of that kind on the local disk, made when first asked for."""
        if spec not in self._files:
            folder = self._folder / f"files-{len(self._files)}"
            folder.mkdir(parents=True)
            path = folder / file_name(spec, 0)
            self._files[spec] = path, write_file(spec, 0, path)
        return self._files[spec]

    def compare(
        self, measure: str, contenders: Sequence[Contender], repeats: int | None = None
    ) -> list[Side]:
        """Run all sides, each as often as asked for, in alternating order."""
        sides = [Side(contender.name, contender.what) for contender in contenders]
        pairs = list(zip(contenders, sides, strict=True))
        for repeat in range(repeats or self.options.repeats):
            for contender, side in pairs if repeat % 2 == 0 else reversed(pairs):
                self.once(measure, side, contender.run, repeat)
        return sides

    def once(self, measure: str, side: Side, run: Callable[[], Run], repeat: int) -> None:
        """Run a side once more, and show it."""
        title = f"{measure}  {side.name}  #{repeat + 1}"
        with self.working(title):
            done = run()
        side.runs.append(done)
        self.say(
            f"{title:<32} {done.seconds:9.2f} s {done.rows_per_second:12,.0f} rows/s"
            f" {done.peak_mib:7.0f} MiB   load {done.load_1m:.1f}"
        )

    def working(self, title: str) -> AbstractContextManager[Any]:
        """Show what is being done while it is."""
        return self._console.status(title)

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def load(self, spec: GenerateSpec, template: str = TEMPLATE, *, scattered: bool = False) -> Run:
        """The pipeline, on generated files, into a place of its own.

        Raises:
            RuntimeError: Not every row was read.
        """
        with self.ground.place(template) as place:
            place.upload(spec, scattered=scattered)
            run = self.pipeline(place, spec.files)
        if run.rows != spec.rows * spec.files:
            raise RuntimeError(f"{run.rows} rows were read, {spec.rows * spec.files} made")
        return run

    def pipeline(self, place: Place, files: int = 1) -> Run:
        """The pipeline, on all that waits in a place's bucket."""
        job = {"side": "pipeline", "bucket": place.bucket, "files": files}
        return self.work(job, place.platform.environ())

    def work(self, job: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Run:
        """Do a job in a process of its own, once the servers have come to rest.

        Raises:
            RuntimeError: The side failed.
        """
        self.ground.settle()
        load, started = machine.load_1m(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bench.worker"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=_inherited() | dict(environ or {}),
            check=False,
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"{job['side']} failed:\n{done.stderr[-_TOLD_OF_AN_ERROR:]}")
        return Run(process_seconds=seconds, load_1m=load, **json.loads(done.stdout))

    def scratch(self) -> Path:
        """A new, empty folder for a side's own files."""
        self._scratch += 1
        folder = self._folder / f"scratch-{self._scratch}"
        folder.mkdir()
        return folder

    def free_bytes(self) -> int:
        """Room on the disk where everything happens."""
        return shutil.disk_usage(self._folder).free


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
