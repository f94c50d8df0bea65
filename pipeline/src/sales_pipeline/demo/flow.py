"""The whole platform in one command and half a minute: deliver, load, ask, and prove the books.

Nothing is played: PostgreSQL and the S3 server are real, roles and credential files are those of
an installation, the runs are the runs that a Job does.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from sales_api.request import RunRequest
from sales_api.v1alpha1 import Source
from sales_pipeline import archive, batch, session
from sales_pipeline.demo import deliveries, figures, report
from sales_pipeline.demo.checks import Check, check_all, failed
from sales_pipeline.demo.interrupts import ending_in_order
from sales_pipeline.demo.narrate import Narrator
from sales_pipeline.demo.outcome import Outcome
from sales_pipeline.demo.platform import Platform, install
from sales_pipeline.demo.stage import Stage, commands, copy_objects, stage
from sales_pipeline.errors import ConfigurationError, PermanentError
from sales_pipeline.generate import GeneratedFile, GenerateSpec
from sales_pipeline.run import Result
from sales_pipeline.summary import total_rows

NAME = "sales"
"""Of the bucket, the database and the schema."""
SOURCE = Source(bucket=NAME)


@dataclass(frozen=True)
class DemoOptions:
    """What can be chosen.

    Args:
        rows: Rows of each file.
        files: How many files.
        error_rate: About this share of the rows is broken.
        seed: The same seed, the same orders.
        keep: A new folder where objects, data and logs stay; none keeps the report alone.
        report: Where the report goes.
    """

    rows: int = 20_000
    files: int = 5
    error_rate: float = 0.02
    seed: int = 1
    keep: Path | None = None
    report: Path = Path("out/demo-report.html")

    @property
    def spec(self) -> GenerateSpec:
        """The files to generate."""
        return GenerateSpec(
            rows=self.rows, files=self.files, error_rate=self.error_rate, seed=self.seed
        )


@dataclass(frozen=True)
class DemoResult:
    """What the demo did; everything it claims holds, or it had not ended with a result."""

    outcome: Outcome
    checks: tuple[Check, ...]
    report: Path
    kept: Path | None


def run_demo(options: DemoOptions, console: Console) -> DemoResult:
    """Run the demo and clean up after it, also when it is interrupted or fails.

    Raises:
        ConfigurationError: An option cannot be used, or a wheel is missing.
        TemporaryError: A server did not start.
        PermanentError: Something that the demo claims does not hold; the report tells what.
    """
    spec, report_path = options.spec, _writable(options.report)
    narrator = Narrator(console)
    with ending_in_order(), _shown(options, narrator) as (place, platform):
        outcome = _play(spec, platform, narrator)
        checks = check_all(outcome)
        report_path.write_text(report.render(outcome, checks), encoding="utf-8")
        narrator.outcome(outcome, checks)
        if options.keep:
            copy_objects(place, platform.bucket)
    kept = place.folder if options.keep else None
    if kept:
        narrator.kept(kept, commands(kept, NAME))
    narrator.say(f"\nReport: {report_path}")
    _insist(checks, report_path)
    return DemoResult(outcome, checks, report_path, kept)


def _writable(path: Path) -> Path:
    """The report's place, tried before half a minute's work is done for it."""
    path = path.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"the report cannot be written there ({type(error).__name__})",
            where=str(path),
            mend="Name a file in a folder that can be written to.",
            code="demo.report",
        ) from None
    return path


@contextmanager
def _shown(options: DemoOptions, narrator: Narrator) -> Iterator[tuple[Stage, Platform]]:
    """Servers with the platform installed on them."""
    started = time.monotonic()
    starting = narrator.console.status("Starting PostgreSQL and an S3 server")
    with starting, stage(options.keep) as place:
        starting.update("Installing schema, roles and credentials")
        place.services.s3.create_bucket(NAME)
        platform = install(place.services, place.credentials, name=NAME, bucket=NAME)
        starting.stop()
        seconds = time.monotonic() - started
        narrator.done(f"PostgreSQL and an S3 server, platform installed ({seconds:.1f} s)")
        yield place, platform


def _play(spec: GenerateSpec, platform: Platform, narrator: Narrator) -> Outcome:
    """Deliver and load, deliver one file again and load, then ask."""
    started_at, started = datetime.now(UTC), time.monotonic()
    generated = _deliver(spec, platform, narrator)
    first = _load(platform, "demo-1", narrator)
    again = deliveries.deliver_first_again(spec, platform, SOURCE)
    narrator.done(f"{again.name} delivered once more, under the same key")
    second = _load(platform, "demo-2", narrator)
    cut_off = first[SOURCE.prefix + deliveries.CUT_OFF_NAME]
    return Outcome(
        spec=spec,
        generated=generated,
        sales=tuple(first[SOURCE.prefix + file.name] for file in generated),
        cut_off=cut_off,
        again=second[SOURCE.prefix + again.name],
        has_reason=_has_reason(platform, cut_off),
        waiting=_waiting(platform),
        figures=figures.ask(platform),
        started_at=started_at,
        seconds=time.monotonic() - started,
    )


def _deliver(
    spec: GenerateSpec, platform: Platform, narrator: Narrator
) -> tuple[GeneratedFile, ...]:
    generated: list[GeneratedFile] = []
    with narrator.console.status("Delivering files") as status:
        for file in deliveries.deliver_files(spec, platform, SOURCE):
            generated.append(file)
            status.update(f"Delivering files, {len(generated)} of {spec.files}")
        deliveries.deliver_cut_off(spec, platform, SOURCE)
    rows, bad = sum(f.rows for f in generated), sum(f.bad_rows for f in generated)
    narrator.done(
        f"{len(generated)} files with {rows:,} rows delivered, {bad:,} rows broken on purpose;"
        " one more file that breaks off in its middle"
    )
    return tuple(generated)


def _load(platform: Platform, run: str, narrator: Narrator) -> dict[str, Result]:
    """One run over all that waits; the results by key."""
    request = RunRequest(ingest=f"demo/{NAME}", run=run, source=SOURCE)
    with batch.connections(platform.settings, SOURCE.bucket) as opened:
        refs = batch.sweep(opened.doors().bucket, SOURCE)
        works = batch.first_readings(refs)
        with session.progress(narrator.console, sum(ref.size for ref in refs)) as on_bytes:
            results = list(batch.process_all(works, request, opened, on_bytes))
    rows, seconds = total_rows(results).read, sum(result.seconds for result in results)
    narrator.done(f"Run {run}: objects {len(results)}, rows read {rows:,} ({seconds:.1f} s)")
    return {result.key: result for result in results}


def _has_reason(platform: Platform, refused: Result) -> bool:
    if refused.archived_key is None:
        return False
    with batch.connections(platform.settings, SOURCE.bucket) as opened:
        bucket = opened.doors().bucket
        places = (refused.archived_key, archive.reason_key(refused.archived_key))
        return all(bucket.head(key) is not None for key in places)


def _waiting(platform: Platform) -> int:
    with batch.connections(platform.settings, SOURCE.bucket) as opened:
        return sum(1 for _ in opened.doors().bucket.list(SOURCE.prefix))


def _insist(checks: tuple[Check, ...], report_path: Path) -> None:
    broken = failed(checks)
    if not broken:
        return
    raise PermanentError(
        f"{len(broken)} of {len(checks)} checks failed:"
        f" {'; '.join(f'{c.claim} ({c.found})' for c in broken)}",
        where="the demo's books",
        mend=f"This is a defect of the pipeline: report it with {report_path}.",
        code="demo.books",
    )
