"""The public csv-spectrum suite: every file is read exactly as the suite says."""

import csv
import json
from pathlib import Path

import pytest

from tests.support.reading import any_columns, read

SUITE = Path(__file__).parent.parent / "data" / "csv-spectrum"
NAMES = sorted(path.stem for path in (SUITE / "csvs").iterdir())


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize("name", NAMES)
def test_file_reads_as_the_suite_says(name, block):
    """Each record has exactly the values of the suite's JSON, in blocks of any size."""
    content = (SUITE / "csvs" / f"{name}.csv").read_bytes()
    expected = json.loads((SUITE / "json" / f"{name}.json").read_text())
    columns = next(csv.reader([content.decode().splitlines()[0]]))

    got = read(content, contract=any_columns(columns), block=block)

    assert [row for _, row in got.rows] == expected
    assert got.rejects == []


def test_whole_suite_is_here():
    """A file that got lost would otherwise pass unnoticed."""
    assert len(NAMES) == 11
    assert sorted(path.stem for path in (SUITE / "json").iterdir()) == NAMES
