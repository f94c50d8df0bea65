"""R5 through the whole platform: files mangled at random all end, with every row counted."""

import csv
import gzip
import io
import random

import pytest

from sales_api.report import Fate
from tests.support.checksum import ORPHANS
from tests.support.sales_file import as_csv, order, sale
from tests.support.sales_record import COLUMNS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FILES = 200
ROWS = 6
TOKENS = [
    b'"', b'""', b",", b",,,,", b";", b"\n", b"\r", b"\r\n", b"\n\n\n", b"\x00", b"\xff", b"\xc3",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"\xe2\x80\xa8", "é€😀".encode(), b"\\", b"\\.",
    b"\\N", b"'", b"=1+1", b"NaN", b"1e5", b"-0", b"NULL", b" " * 300, b"\t", b"\x1a", b"\x85",
    b"\xef\xbf\xbd", b"x" * 3000, b'"\n"', b'",\n"', b"\xef\xbc\xa6", b"\xef\xbc\x91", b"%s%n",
]  # fmt: skip
VALUES = [
    "", " ", "0", "-1", "1e3", "٣", "1,5", "99999999999999999999", "0.005", "5.01", "NaN", "inf",
    "True ", "2024-02-30", "0001-01-01", "9999-12-31", "2024-3-1", "a@b", "a@b.c", "ü@ü.com",
    "x" * 600, "\ufeff", "a\nb", 'a"b', "a\rb", "\x00", "\u200b", "1" * 40, "+5", " 7 ",
]  # fmt: skip


def base(chance, number):
    """A file of which some values are odd, in rows that are well-formed."""
    rows = [sale(order(number * 100 + n), product_title=f"T{number}-{n}") for n in range(ROWS)]
    for row in rows:
        if chance.random() < 0.4:
            row[chance.choice(COLUMNS)] = chance.choice(VALUES)
    quoting = chance.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    return as_csv(rows, quoting=quoting, lineterminator=chance.choice(["\n", "\r\n", "\r"]))


def insert(chance, data):
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(TOKENS) + data[at:]


def cut(chance, data):
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(200) :]


def repeat(chance, data):
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[max(0, at - chance.randrange(400)) :]


def end(chance, data):
    return data[: chance.randrange(len(data) + 1)]


def flip(chance, data):
    at = chance.randrange(len(data) or 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def recode(chance, data):
    name = chance.choice(["utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig"])
    return data.decode("utf-8", "replace").encode(name, "replace")


def pack(chance, data):
    packed = gzip.compress(data, mtime=0)
    return packed if chance.random() < 0.5 else flip(chance, packed)


CHANGES = [insert] * 8 + [cut, repeat, end, flip, flip, recode, pack]


def mangled(number):
    """The n-th nasty file, always the same."""
    chance = random.Random(number)
    data = base(chance, number)
    for _ in range(chance.randrange(4)):
        data = chance.choice(CHANGES)(chance, data)
    return data


def readings(data):
    """All texts that the bytes might stand for, quotes undone."""
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    for name in ("utf-8", "utf-16", "utf-32"):
        yield plain.decode(name, "ignore").replace('""', '"')


@pytest.fixture(scope="module")
def swept(installation):
    """A platform that has swept all of the files, the files by key, and what became of each."""
    with installation.sandbox() as sandbox:
        files = {f"raw/{n:03}.csv": mangled(n) for n in range(FILES)}
        for key, body in files.items():
            sandbox.put(key, body)
        yield sandbox, files, {result.key: result for result in sandbox.sweep()}


def test_every_file_ends(swept):
    """Each file is loaded or refused, none fails, none is left; there are plenty of both."""
    sandbox, files, results = swept
    fates = [results[key].fate for key in files]
    assert set(fates) == {Fate.LOADED, Fate.QUARANTINED}
    assert min(map(fates.count, set(fates))) > FILES / 10
    assert sandbox.traces("raw/") == []
    assert len(sandbox.ledger("key")) == FILES


def test_nothing_is_lost_of_a_file(swept):
    """Each file lies untouched where the ledger says, a refused one with its reason."""
    sandbox, files, _ = swept
    keys = set(sandbox.listing())
    for key, archived, status in sandbox.ledger("key", "archived_key", "status"):
        assert sandbox.read(archived) == files[key]
        assert archived.startswith("processed/" if status == "loaded" else "quarantine/")
        assert (f"{archived}.reason.json" in keys) == (status == "quarantined")


def test_nothing_is_lost_of_its_rows(swept):
    """Rows read are loaded, rejected or deduplicated; each reject has codes, here and there."""
    sandbox, _, results = swept
    counts = ("rows_read", "rows_loaded", "rows_rejected", "rows_deduplicated")
    rows = sandbox.ledger("key", "object_id", "status", "archived_key", *counts)
    for key, object_id, status, archived, read, loaded, rejected, deduplicated in rows:
        assert read == loaded + rejected + deduplicated
        told = results[key].rows
        assert (told.read, told.loaded, told.rejected) == (read, loaded, rejected)
        query = "SELECT count(DISTINCT row_number) FROM ingest_reject WHERE object_id = %s"
        assert sandbox.value(query, [object_id]) == rejected
        if status == "loaded" and rejected:
            name = archived.replace("processed/", "quarantine/", 1) + ".rejects.csv"
            listed = csv.DictReader(io.StringIO(sandbox.read(name).decode(), newline=""))
            assert len({row["row_number"] for row in listed}) == rejected
    assert sum(row[-2] for row in rows) > FILES / 4


def test_no_value_was_changed(swept):
    """What is in the star stands so in the file it came from."""
    sandbox, files, _ = swept
    facts = sandbox.query(
        "SELECT key, order_id, product_title, product_category, quantity::text, o.date::text"
        " FROM fact_sales JOIN ingest_object USING (object_id)"
        " JOIN dim_product USING (product_id) JOIN dim_date AS o ON date_id = order_date_id"
    )
    assert len(facts) > FILES * ROWS / 4
    for key, *values in facts:
        texts = list(readings(files[key]))
        assert [v for v in values if not any(v in text for text in texts)] == []
    assert sandbox.value(ORPHANS) == 0


def test_again(swept):
    """The same files once more change nothing, and are all known."""
    sandbox, files, _ = swept
    before = sandbox.checksum()
    for key in list(files)[::10]:
        sandbox.put(key, files[key])
    results = sandbox.sweep()
    assert {result.fate for result in results} == {Fate.ALREADY_LOADED, Fate.QUARANTINED}
    assert sandbox.checksum() == before
    assert len(sandbox.ledger("key")) == FILES
