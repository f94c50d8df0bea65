"""Brings generated files to a folder or a bucket, and opens files of either for a look."""

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sales_pipeline.bucket import Bucket
from sales_pipeline.check import Opener
from sales_pipeline.credentials import load_object_store_login
from sales_pipeline.errors import ConfigurationError
from sales_pipeline.generate import (
    ChunkReader,
    GeneratedFile,
    GenerateSpec,
    Tally,
    file_name,
    generated_file,
    iter_csv,
    write_file,
)
from sales_pipeline.settings import Settings

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def send_all(
    spec: GenerateSpec, to: str, pause_seconds: float, settings: Settings
) -> Iterator[GeneratedFile]:
    """Make each file of a set where it is wanted; tells of each as it is there.

    Args:
        spec: The set.
        to: A folder, or `s3://bucket/prefix/`.
        pause_seconds: From the end of one file to the start of the next.
        settings: Where the bucket is.
    """
    bucket, prefix = _bucket(to, settings) if to.startswith("s3://") else (None, "")
    for index in range(spec.files):
        if index and pause_seconds:
            time.sleep(pause_seconds)
        yield _to_bucket(spec, index, bucket, prefix) if bucket else _to_folder(spec, index, to)


def _to_folder(spec: GenerateSpec, index: int, folder: str) -> GeneratedFile:
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return write_file(spec, index, path / file_name(spec, index))


def _to_bucket(spec: GenerateSpec, index: int, bucket: Bucket, prefix: str) -> GeneratedFile:
    tally = Tally()
    content = ChunkReader(iter_csv(spec, index, tally))
    bucket.put(prefix + file_name(spec, index), content, "text/csv; charset=utf-8")
    return generated_file(spec, index, tally)


def opener(name: str, settings: Settings) -> Callable[[], Iterator[bytes]]:
    """What opens a file from its start: a local path, or `s3://bucket/key`.

    Raises:
        ConfigurationError: The object does not exist.
    """
    if not name.startswith("s3://"):
        return Opener(Path(name))
    bucket, key = _bucket(name, settings)
    ref = bucket.head(key)
    if ref is None:
        raise _invalid("the object does not exist", name, "Name one that does.")
    return partial(bucket.read, ref)


def _bucket(url: str, settings: Settings) -> tuple[Bucket, str]:
    name, _, key = url.removeprefix("s3://").partition("/")
    login = load_object_store_login(settings)
    return Bucket.connect(settings, login, name), key


def parse_size(text: str) -> int:
    """Bytes of `250MB` or `5GB`.

    Raises:
        ConfigurationError: It is not written so.
    """
    return round(_measure(text, _UNITS, "--size", "Write it like 250MB or 5GB."))


def parse_duration(text: str) -> float:
    """Seconds of `5s`, `2m` or `1h`.

    Raises:
        ConfigurationError: It is not written so.
    """
    return _measure(text, _SECONDS, "--every", "Write it like 5s, 2m or 1h.")


def _measure(text: str, units: dict[str, int], where: str, mend: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", text.strip().lower())
    if not found or found[2] not in units:
        raise _invalid("the value cannot be understood", where, mend)
    return float(found[1]) * units[found[2]]


def _invalid(what: str, where: str, mend: str) -> ConfigurationError:
    return ConfigurationError(what, where=where, mend=mend, code="option.invalid")
