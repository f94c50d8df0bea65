"""Files as they come: compressed, in other encodings, large, and under any name."""

import gzip
from datetime import timedelta
from urllib.parse import unquote

import pytest

from sales_api.report import Fate
from sales_pipeline.generate import GenerateSpec, file_name, write_file
from tests.support.platform import UPLOADED
from tests.support.sales_file import as_csv, order, sale, sales

pytestmark = pytest.mark.integration

FILE = as_csv(sales(range(10), product_title="Ordinateur à vapeur"))
TITLES = "SELECT DISTINCT product_title FROM dim_product"


class TestEncodings:
    @pytest.mark.parametrize(
        ("name", "body", "fmt"),
        [
            ("plain.csv", FILE, {}),
            ("bom.csv", b"\xef\xbb\xbf" + FILE, {}),
            ("utf16.csv", FILE.decode().encode("utf-16"), {}),
            ("utf16be.csv", b"\xfe\xff" + FILE.decode().encode("utf-16-be"), {}),
            ("named.csv", FILE.decode().encode("utf-16-le"), {"encoding": "utf-16-le"}),
            ("latin.csv", FILE.decode().encode("cp1252"), {"encoding": "cp1252"}),
            ("fallback.csv", FILE.decode().encode("cp1252"), {"fallbackEncoding": "cp1252"}),
            ("utf8.csv", FILE, {"fallbackEncoding": "cp1252"}),
            ("crlf.csv", FILE.replace(b"\n", b"\r\n"), {}),
            ("semicolon.csv", as_csv(sales(range(10)), delimiter=";"), {}),
            ("small.csv.gz", gzip.compress(FILE), {}),
            ("members.csv.gz", gzip.compress(FILE[:500]) + gzip.compress(FILE[500:]), {}),
            ("misnamed.csv", gzip.compress(FILE), {}),
            ("utf16.csv.gz", gzip.compress(FILE.decode().encode("utf-16")), {}),
        ],
    )
    def test_loads(self, platform, name, body, fmt):
        """The same rows arrive, whatever the bytes they were written in."""
        platform.put(f"raw/{name}", body)
        (result,) = platform.sweep(format=fmt)
        assert (result.fate, result.rows.loaded) == (Fate.LOADED, 10)
        titles = {title for (title,) in platform.query(TITLES)}
        assert titles <= {"Ordinateur à vapeur", "Analytical engine"}
        assert platform.read(result.archived_key) == body

    def test_wrong_guess_is_an_error(self, platform):
        """A file that is not UTF-8 is refused rather than read as something else."""
        platform.put("raw/a.csv", FILE.decode().encode("cp1252"))
        (result,) = platform.sweep()
        assert (result.fate, result.error.code) == (Fate.QUARANTINED, "file.encoding")

    def test_fallback_in_the_middle(self, platform):
        """A file that stops being UTF-8 late is read from its start in the fallback encoding."""
        rows = [*sales(range(2000)), sale(order(2000), product_title="Ordinateur à vapeur")]
        small = platform.with_settings(block_bytes=10_000)
        small.put("raw/a.csv", as_csv(rows).decode().encode("cp1252"))
        (result,) = small.sweep(format={"fallbackEncoding": "cp1252"})
        assert (result.rows.read, result.rows.loaded) == (2001, 2001)
        assert ("Ordinateur à vapeur",) in platform.query(TITLES)


def test_several_blocks(platform, tmp_path):
    """A file of many blocks is loaded like a small one, its rejects counted to the row."""
    spec = GenerateSpec(rows=20_000, error_rate=0.02)
    made = write_file(spec, 0, tmp_path / file_name(spec, 0))
    platform.put("raw/big.csv", (tmp_path / made.name).read_bytes())
    (result,) = platform.with_settings(block_bytes=64 * 1024).sweep()
    assert (result.rows.read, result.rows.rejected) == (made.rows, made.bad_rows)
    assert platform.value("SELECT count(*) FROM fact_sales") == made.good_rows
    numbers = "SELECT count(DISTINCT row_number), min(row_number), max(row_number) FROM {}"
    ((facts, first, last),) = platform.query(numbers.format("fact_sales"))
    assert (facts, first >= 1, last <= made.rows) == (made.good_rows, True, True)
    assert platform.value("SELECT count(DISTINCT row_number) FROM ingest_reject") == made.bad_rows


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        [
            "raw/with space.csv",
            "raw/a+b.csv",
            "raw/été.csv",
            "raw/'quoted'.csv",
            'raw/"double".csv',
            "raw/100%.csv",
            "raw/a&b=c;d?e#f.csv",
            "raw/deep/er/and/deeper.csv",
            "raw/no.dots.but.many.csv",
            "raw/[brackets].csv",
            "raw/日本.csv",
            "raw/UPPER.csv",
            "raw/.csv",
        ],
    )
    def test_any_name(self, platform, key):
        """An object of any name goes its way and can be traced back to its name."""
        platform.put(key, as_csv([*sales(range(3)), sale("x")]))
        (result,) = platform.sweep()
        assert (result.key, result.fate) == (key, Fate.LOADED)
        ((found, sha256, archived),) = platform.ledger("key", "sha256", "archived_key")
        assert found == key
        assert sha256[:12] in archived
        rejects = f"quarantine/{archived.removeprefix('processed/')}.rejects.csv"
        assert platform.listing() == [archived, rejects]
        head = platform.s3.head_object(Bucket=platform.bucket, Key=archived)
        assert unquote(head["Metadata"]["original-key"]) == key

    def test_archived_name(self, platform):
        """An archived object keeps its folders, stem and suffixes, and gets twelve hex digits."""
        for key in ("raw/2024/03/a.csv", "raw/b.csv.gz", "raw/c.d.csv"):
            platform.put(key, gzip.compress(FILE) if key.endswith(".gz") else FILE)
        platform.sweep()
        digits = "[0-9a-f]{12}"
        rows = platform.query(
            "SELECT key FROM ingest_object WHERE archived_key ~ ANY(%s) ORDER BY key",
            [[f"^processed/2024/03/a[.]{digits}[.]csv$", f"^processed/b[.]{digits}[.]csv[.]gz$",
              f"^processed/c[.]d[.]{digits}[.]csv$"]],
        )  # fmt: skip
        assert [key for (key,) in rows] == ["raw/2024/03/a.csv", "raw/b.csv.gz", "raw/c.d.csv"]

    def test_metadata(self, platform):
        """The archive alone tells what an object was called and when it came."""
        ref = platform.put("raw/é.csv", FILE)
        (result,) = platform.run(platform.request(ref))
        head = platform.s3.head_object(Bucket=platform.bucket, Key=result.archived_key)
        assert head["Metadata"] == {
            "original-key": "raw/%C3%A9.csv",
            "original-modified-at": UPLOADED.isoformat(),
        }


class TestSweep:
    KEYS = (
        "raw/a.csv",
        "raw/b.CSV",
        "raw/c.txt",
        "raw/sub/d.csv",
        "raw/sub/tmp/e.csv",
        "other/f.csv",
    )

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ({}, ["raw/a.csv", "raw/sub/d.csv", "raw/sub/tmp/e.csv"]),
            ({"include": ["*"]}, [key for key in KEYS if key.startswith("raw/")]),
            ({"include": ["*.txt", "*.CSV"]}, ["raw/b.CSV", "raw/c.txt"]),
            ({"exclude": ["*/tmp/*"]}, ["raw/a.csv", "raw/sub/d.csv"]),
            ({"exclude": ["*"]}, []),
            ({"include": ["sub/?.csv"]}, ["raw/sub/d.csv"]),
            ({"prefix": "raw/sub/"}, ["raw/sub/d.csv", "raw/sub/tmp/e.csv"]),
        ],
    )
    def test_patterns(self, platform, source, expected):
        """A sweep takes what the patterns let in, and leaves the rest alone."""
        for key in self.KEYS:
            platform.put(key, as_csv(sales([1])))
        results = platform.sweep(source=source)
        assert sorted(result.key for result in results) == expected
        left = {*platform.listing("raw/"), *platform.listing("other/")}
        assert left == set(self.KEYS) - set(expected)

    def test_other_prefixes(self, platform):
        """The three prefixes are the request's to choose."""
        platform.put("in/a.csv", as_csv([*sales([1]), sale("x")]))
        source = {"prefix": "in/", "processedPrefix": "done/ok/", "quarantinePrefix": "done/bad/"}
        platform.sweep(source=source)
        assert [key.rsplit("/", 1)[0] for key in platform.listing()] == ["done/bad", "done/ok"]

    def test_oldest_first(self, platform, monkeypatch):
        """A sweep goes by the age of the objects, not by their names."""
        refs = [platform.put(f"raw/{n}.csv", as_csv(sales([n]))) for n in range(5)]
        times = [UPLOADED + timedelta(seconds=(7 * n) % 5) for n in range(5)]
        aged = [r.model_copy(update={"modified_at": t}) for r, t in zip(refs, times, strict=True)]
        monkeypatch.setattr("sales_pipeline.bucket.Bucket.list", lambda *_: iter(aged))
        keys = [result.key for result in platform.sweep()]
        assert keys == [f"raw/{n}.csv" for n in sorted(range(5), key=lambda n: (7 * n) % 5)]

    def test_folders_are_no_objects(self, platform):
        """The empty objects that some programs make for folders are passed over."""
        platform.put("raw/sub/", b"")
        assert platform.sweep(source={"include": ["*"]}) == []
