"""The quality gate: at the limit an object still loads, one rejected row more and it does not."""

import csv
import io
import json
from itertools import groupby

import pytest

from sales_api.report import ExitCode, Fate
from tests.support.command import command
from tests.support.sales_file import as_csv, order, sale, sales

pytestmark = pytest.mark.integration

KEY = "raw/a.csv"
BAD = [
    sale(order(90), product_rating="9"),
    sale("short", quantity=0),
    sale(order(91), customer_email="ada", order_date="someday"),
]


def with_bad(count):
    """Ten rows, so many of them bad."""
    return as_csv([*sales(range(10 - count)), *BAD[:count]])


def rejects_of(sandbox):
    (key,) = (key for key in sandbox.listing("quarantine/") if key.endswith(".rejects.csv"))
    return key, list(csv.DictReader(io.StringIO(sandbox.read(key).decode())))


@pytest.mark.parametrize(
    ("limit", "bad", "fate"),
    [
        ({"maxRejectedRatio": "0.2"}, 2, Fate.LOADED),
        ({"maxRejectedRatio": "0.2"}, 3, Fate.QUARANTINED),
        ({"maxRejectedRows": 1}, 1, Fate.LOADED),
        ({"maxRejectedRows": 1}, 2, Fate.QUARANTINED),
        ({"maxRejectedRows": 0}, 0, Fate.LOADED),
        ({"maxRejectedRows": 0}, 1, Fate.QUARANTINED),
        ({"maxRejectedRatio": "0"}, 1, Fate.QUARANTINED),
        ({"maxRejectedRatio": "0.3", "maxRejectedRows": 2}, 3, Fate.QUARANTINED),
        ({}, 3, Fate.LOADED),
    ],
)
def test_limit(platform, limit, bad, fate):
    """Up to the limit, the limit included, the good rows are loaded; beyond it none is."""
    platform.put(KEY, with_bad(bad))
    (result,) = platform.sweep(quality=limit)
    assert result.fate is fate
    loaded = 10 - bad if fate is Fate.LOADED else 0
    assert platform.value("SELECT count(*) FROM fact_sales") == loaded
    counts = ("rows_read", "rows_loaded", "rows_rejected", "rows_deduplicated")
    assert platform.ledger(*counts) == [(10, loaded, 10 - loaded, 0)]


class TestRefused:
    @pytest.fixture
    def refused(self, platform):
        """A platform whose one object had too many rejects, and what the run said of it."""
        platform.put(KEY, with_bad(3))
        (result,) = platform.sweep(quality={"maxRejectedRows": 2})
        return platform, result

    def test_ledger(self, refused):
        """The ledger has the object, its code, and each thing that is wrong with each row."""
        sandbox, _ = refused
        assert sandbox.ledger("status", "error_code") == [("quarantined", "file.rejected_rows")]
        lines = sandbox.query(
            "SELECT row_number, field, code FROM ingest_reject ORDER BY row_number, code"
        )
        assert lines == [
            (8, "product_rating", "product_rating.range"),
            (9, "order_id", "order_id.length"),
            (9, "quantity", "quantity.range"),
            (10, "customer_email", "customer_email.format"),
            (10, "order_date", "order_date.format"),
        ]

    def test_reason(self, refused):
        """The object lies in quarantine untouched, with a reason beside it that says how bad."""
        sandbox, result = refused
        assert result.archived_key.startswith("quarantine/a.")
        assert sandbox.read(result.archived_key) == with_bad(3)
        reason = json.loads(sandbox.read(f"{result.archived_key}.reason.json"))
        assert reason["code"] == "file.rejected_rows"
        assert reason["what"] == "3 of 10 rows are rejected, more than maxRejectedRows 2"
        assert (reason["object"], reason["sizeBytes"]) == (KEY, len(with_bad(3)))

    def test_rejects(self, refused):
        """The rejected rows lie there too: number, codes, and the harmless values."""
        sandbox, result = refused
        key, rows = rejects_of(sandbox)
        assert key == f"{result.archived_key}.rejects.csv"
        assert [(row["row_number"], row["codes"]) for row in rows] == [
            ("8", "product_rating.range"),
            ("9", "order_id.length quantity.range"),
            ("10", "customer_email.format order_date.format"),
        ]
        assert rows[0]["product_title"] == "Analytical engine"
        assert (rows[0]["product_rating"], rows[1]["order_id"]) == ("", "")
        assert not any(name.startswith("customer_") for name in rows[0])

    def test_star(self, refused):
        """Nothing of it is in the star, not even a customer."""
        sandbox, _ = refused
        for table in ("fact_sales", "dim_customer", "dim_product", "dim_date"):
            assert sandbox.value(f"SELECT count(*) FROM {table}") == 0


def test_warning(platform, tmp_path):
    """With LoadAndWarn the object loads, and report and log carry the warning."""
    platform.put(KEY, with_bad(3))
    log = tmp_path / "termination"
    quality = {"maxRejectedRows": 2, "onBreach": "LoadAndWarn"}
    environ = platform.environ(platform.request(quality=quality), termination_log=log)
    ended = command("run", environ=environ)
    assert ended.code == ExitCode.DONE
    report = json.loads(log.read_bytes())
    assert report["files"]["loaded"] == 1
    assert report["rows"] == {"read": 10, "loaded": 7, "rejected": 3, "deduplicated": 0}
    assert report["errors"] == [
        {
            "key": KEY,
            "code": "file.rejected_rows",
            "message": "3 of 10 rows are rejected, more than maxRejectedRows 2."
            " Correct the rows listed in quarantine and send the file again, or widen quality.",
        }
    ]
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert [(x["level"], x.get("code")) for x in lines if x["event"] == "object ended"] == [
        ("warning", "file.rejected_rows")
    ]
    key, rows = rejects_of(platform)
    assert len(rows) == 3
    assert platform.listing() == [platform.ledger("archived_key")[0][0], key]


def test_rejects_of_a_loaded_object(platform):
    """Rejected rows of an object that loads lie in quarantine under its name."""
    platform.put("raw/2024/b.csv", with_bad(2))
    platform.sweep()
    key, rows = rejects_of(platform)
    ((sha256,),) = platform.ledger("sha256")
    assert key == f"quarantine/2024/b.{sha256[:12]}.csv.rejects.csv"
    numbers = platform.query("SELECT DISTINCT row_number FROM ingest_reject ORDER BY 1")
    assert [int(row["row_number"]) for row in rows] == [number for (number,) in numbers]
    assert [number for number, _ in groupby(rows, lambda row: row["row_number"])] == ["9", "10"]
