"""What the demo delivers: good files, one that is broken as a whole, and one a second time.

Everything goes straight into the bucket, as it would from a supplier; the generator counts what
it broke while the bytes pass, and these counts are what the pipeline is held against.
"""

import gzip
import io
from collections.abc import Iterator
from dataclasses import replace

from sales_api.v1alpha1 import Source
from sales_pipeline import deliver
from sales_pipeline.bucket import Bucket
from sales_pipeline.credentials import load_object_store_login
from sales_pipeline.demo.platform import Platform
from sales_pipeline.generate import GeneratedFile, GenerateSpec, Tally, iter_csv

CUT_OFF_NAME = "upload-broke-off.csv.gz"
_CUT_OFF_ROWS = 2_000


def deliver_files(
    spec: GenerateSpec, platform: Platform, source: Source
) -> Iterator[GeneratedFile]:
    """Deliver the files of the set; tells of each as it is there."""
    return deliver.send_all(spec, f"s3://{source.bucket}/{source.prefix}", 0, platform.settings)


def deliver_first_again(spec: GenerateSpec, platform: Platform, source: Source) -> GeneratedFile:
    """Deliver the set's first file once more, under the same key."""
    return next(deliver_files(spec, platform, source))


def deliver_cut_off(spec: GenerateSpec, platform: Platform, source: Source) -> str:
    """Deliver a compressed file whose second half is missing; tells its key."""
    login = load_object_store_login(platform.settings)
    bucket = Bucket.connect(platform.settings, login, source.bucket)
    key = source.prefix + CUT_OFF_NAME
    bucket.put(key, io.BytesIO(cut_off(spec)), "application/gzip")
    return key


def cut_off(spec: GenerateSpec) -> bytes:
    """Half of a compressed file: with orders of its own, so that none of them goes unnoticed."""
    rest = replace(spec, rows=_CUT_OFF_ROWS, files=1, start_row=spec.stop_row)
    whole = gzip.compress(b"".join(iter_csv(rest, 0, Tally())), mtime=0)
    return whole[: len(whole) // 2]
