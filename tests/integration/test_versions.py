"""Uploads that were overwritten before any run saw them."""

import pytest

from sales_api.report import Fate
from tests.support.sales_file import as_csv, sales

pytestmark = pytest.mark.integration

KEY = "raw/a.csv"


def tick(platform):
    """Wait until the store's clock shows another time than now."""

    def now():
        platform.put("clock", b"")
        return platform.s3.head_object(Bucket=platform.bucket, Key="clock")["LastModified"]

    started = now()
    while now() == started:
        pass


def test_overwritten_upload_is_loaded_as_if_in_time(platform):
    """Both contents of a key are loaded, the newer wins where they meet, and both are archived."""
    platform.put(KEY, as_csv(sales(range(10))))
    tick(platform)
    platform.put(KEY, as_csv(sales(range(5, 15), quantity=3)))
    sweeps = [platform.sweep(), platform.sweep(), platform.sweep()]
    assert [[r.fate for r in results] for results in sweeps] == [[Fate.LOADED], [Fate.LOADED], []]
    counted = platform.query("SELECT quantity, count(*) FROM fact_sales GROUP BY 1 ORDER BY 1")
    assert counted == [(2, 5), (3, 10)]
    assert len(platform.listing("processed/")) == 2
    assert platform.listing("raw/") == []
