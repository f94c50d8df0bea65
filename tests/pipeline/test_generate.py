import hashlib
import itertools
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest

from sales_pipeline import generate
from sales_pipeline.errors import ConfigurationError
from sales_pipeline.generate import (
    ChunkReader,
    GenerateSpec,
    Tally,
    file_name,
    iter_csv,
    rows_for_size,
    write_file,
)
from sales_pipeline.generate_catalogue import FIRST_DAY, LAST_DAY, PRODUCTS, catalogue
from sales_pipeline.generate_errors import ErrorKind
from tests.support.sales_record import CENT, COLUMNS, RULES, dicts, records, rewritten


def whole(spec: GenerateSpec, file_index: int = 0) -> bytes:
    return b"".join(iter_csv(spec, file_index, Tally()))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return dicts(whole(GenerateSpec(rows=20_000)))


def test_same_arguments_give_the_same_bytes():
    """A seed means these bytes for good: a change of polars or of ours must not slip through."""
    content = whole(GenerateSpec(rows=1_000, error_rate=0.1, seed=7))

    assert content == whole(GenerateSpec(rows=1_000, error_rate=0.1, seed=7))
    assert (
        hashlib.sha256(content).hexdigest()
        == "a48ab284e551741d2f4f6b7a23115ccfd78f27b12e8f8e3c54520c147b24c8e7"
    )


def test_another_seed_gives_other_orders_of_the_same_shop():
    """Seeds share neither an order id nor a sequence of orders, but they share the catalogue."""
    one, two = (dicts(whole(GenerateSpec(rows=2_000, seed=seed))) for seed in (1, 2))

    assert not {row["order_id"] for row in one} & {row["order_id"] for row in two}
    same_title = sum(
        a["product_title"] == b["product_title"] for a, b in zip(one, two, strict=True)
    )
    assert same_title < 100
    assert {row["customer_email"].lower() for row in one} & {
        row["customer_email"].lower() for row in two
    }


def test_cuts_change_no_row(monkeypatch):
    """The same set has the same rows, in few chunks or many, in one file or in four."""
    one = whole(GenerateSpec(rows=400, error_rate=0.2))
    monkeypatch.setattr(generate, "CHUNK_ROWS", 7)
    spec = GenerateSpec(rows=100, files=4, error_rate=0.2)
    parts = [whole(spec, index).partition(b"\n") for index in range(4)]

    assert one.partition(b"\n")[2] == b"".join(body for _, _, body in parts)


@pytest.mark.parametrize("name", COLUMNS)
def test_good_files_keep_every_rule(rows, name):
    """With no errors asked for, no cell breaks the default contract."""
    assert [row[name] for row in rows if not RULES[name](row[name])] == []


def test_good_files_are_rfc_4180_quoted_only_where_needed():
    """Python's writer, given the cells read, writes the same bytes; quotes are needed often."""
    content = whole(GenerateSpec(rows=5_000))
    cells = [cells for _, cells in records(content)]

    assert "".join(map(rewritten, [COLUMNS, *cells])).encode() == content
    addresses = [row[4] for row in cells]
    assert any("\n" in text for text in addresses)
    assert any("," in text and "\n" not in text for text in addresses)
    assert any("," not in text and "\n" not in text for text in addresses)
    assert any('"' in row[5] for row in cells)


def test_prices_follow_from_the_discount(rows):
    """The discounted price is the original less its discount, to the cent."""
    for row in rows:
        share = 1 - Decimal(row["discount_percentage"]) / 100
        expected = (Decimal(row["original_price"]) * share).quantize(CENT, ROUND_HALF_UP)
        assert row["discounted_price"] == str(expected)


def test_dates_are_consistent(rows):
    """Orders lie in the two years, are delivered 1 to 14 days later and never collected before."""
    for row in rows:
        ordered, delivered, collected = (
            date.fromisoformat(row[name])
            for name in ("order_date", "delivery_date", "data_collected_at")
        )
        assert FIRST_DAY <= ordered <= LAST_DAY
        assert timedelta(days=1) <= delivered - ordered <= timedelta(days=14)
        assert collected >= ordered


def test_trade_grows_and_peaks_before_christmas(rows):
    """A chart by month shows a trend and a season."""
    months = Counter(row["order_date"][:7] for row in rows)
    years = Counter(row["order_date"][:4] for row in rows)

    assert len(months) == 24
    assert years["2025"] > 1.2 * years["2024"]
    assert months["2024-12"] > 1.5 * months["2024-06"]


def test_a_customer_is_always_the_same(rows):
    """One person has one name, phone and address; the address's capitals alone may differ."""
    people = defaultdict(set)
    spellings = defaultdict(set)
    for row in rows:
        key = row["customer_email"].lower()
        people[key].add((row["customer_name"], row["customer_phone"], row["customer_address"]))
        spellings[key].add(row["customer_email"])

    assert {len(seen) for seen in people.values()} == {1}
    assert {len(seen) for seen in spellings.values()} == {1, 2}
    assert {mail.rpartition("@")[2] for mail in people} == {
        "example.com",
        "example.net",
        "example.org",
    }


def test_phones_are_written_in_several_ways(rows):
    """Some have an extension, and the digits are grouped in more than five ways."""
    shapes = {
        "".join("9" if sign.isdigit() else sign for sign in row["customer_phone"].partition("x")[0])
        for row in rows
    }

    assert len(shapes) > 5
    assert 0.1 < sum("x" in row["customer_phone"] for row in rows) / len(rows) < 0.3


@pytest.mark.parametrize("share", [1, 5, 50])
def test_customers_are_as_many_as_asked_for(share):
    """Over a set, a customer has about so many orders."""
    content = whole(GenerateSpec(rows=10_000, rows_per_customer=share))
    mails = {row["customer_email"].lower() for row in dicts(content)}

    asked = 10_000 / share
    assert asked * 0.6 < len(mails) <= asked


def test_a_product_is_always_the_same(rows):
    """A title has one category, price and flag; only its rating varies, and that a little."""
    facts = defaultdict(set)
    ratings = defaultdict(set)
    for row in rows:
        names = ("product_category", "original_price", "is_best_seller")
        facts[row["product_title"]].add(tuple(row[name] for name in names))
        ratings[row["product_title"]].add(Decimal(row["product_rating"]))

    assert {len(seen) for seen in facts.values()} == {1}
    assert max(max(seen) - min(seen) for seen in ratings.values()) == Decimal("0.2")
    assert len({category for seen in facts.values() for category, _, _ in seen}) == 12


def test_titles_of_the_catalogue_are_unique():
    """Two products of one title would be one row of the warehouse."""
    assert len({product.title for product in catalogue()}) == PRODUCTS


def test_order_ids_are_unique_over_the_files():
    """Files of a set, and a set added to it, share no order."""
    first = GenerateSpec(rows=300, files=3)
    added = GenerateSpec(rows=300, files=2, start_row=900)
    ids = [
        row["order_id"]
        for spec in (first, added)
        for index in range(spec.files)
        for row in dicts(whole(spec, index))
    ]

    assert len(set(ids)) == len(ids) == 1_500


def test_write_file_tells_what_it_wrote(tmp_path):
    """Name, size and order ids are those of the file, and nothing else is left in the folder."""
    spec = GenerateSpec(rows=200, files=2, error_rate=0.1, error_kinds=(ErrorKind.BAD_DATE,))
    path = tmp_path / file_name(spec, 1)
    made = write_file(spec, 1, path)
    ids = [row["order_id"] for row in dicts(path.read_bytes())]

    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == whole(spec, 1)
    assert (made.name, made.rows, made.size_bytes) == (path.name, 200, path.stat().st_size)
    assert (made.first_order_id, made.last_order_id) == (ids[0], ids[-1])


def test_a_file_gets_its_name_only_when_whole(tmp_path, monkeypatch):
    """Whoever watches the folder never sees half a file under its name."""
    path = tmp_path / "sales-00001.csv"
    monkeypatch.setattr(generate, "CHUNK_ROWS", 10)
    seen = []
    real = generate.iter_csv

    def watched(*args):
        for chunk in real(*args):
            seen.append(path.exists())
            yield chunk

    monkeypatch.setattr(generate, "iter_csv", watched)
    write_file(GenerateSpec(rows=30), 0, path)

    assert seen == [False] * 4
    assert path.exists()


def test_file_names_go_on_where_an_added_set_begins():
    """A set that starts after an earlier one does not take its names."""
    first = GenerateSpec(rows=10, files=2)
    added = GenerateSpec(rows=10, files=2, start_row=20)

    assert [file_name(spec, index) for spec in (first, added) for index in (0, 1)] == [
        "sales-00001.csv",
        "sales-00002.csv",
        "sales-00003.csv",
        "sales-00004.csv",
    ]


def test_the_largest_file_starts_at_once_in_small_chunks():
    """Chunks are made as they are asked for, whole records each, none above a few megabytes."""
    tally = Tally()
    chunks = iter_csv(GenerateSpec(rows=100_000_000, error_rate=0.01), 0, tally)
    taken = list(itertools.islice(chunks, 3))

    assert tally.rows == 2 * generate.CHUNK_ROWS
    assert max(map(len, taken)) < 5_000_000
    assert all(chunk.endswith(b"\n") for chunk in taken)


def test_a_size_can_be_asked_for(tmp_path):
    """The rows for a size make a file of that size, within two per cent."""
    rows = rows_for_size(3_000_000)
    made = write_file(GenerateSpec(rows=rows, error_rate=0.01), 0, tmp_path / "sized.csv")

    assert made.size_bytes == pytest.approx(3_000_000, rel=0.02)
    assert rows_for_size(1) == 1


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_the_reader_gives_just_what_is_asked_for(size):
    """Reads are full until the end, however the chunks fall; then they are empty."""
    reader = ChunkReader([b"", b"abc", b"", b"d", b"efghijkl", b""])
    pieces = list(iter(lambda: reader.read(size), b""))

    assert b"".join(pieces) == b"abcdefghijkl"
    assert {len(piece) for piece in pieces[:-1]} <= {size}
    assert reader.read(size) == b""


@pytest.mark.parametrize("everything", [(), (-1,), (None,)])
def test_the_reader_gives_the_rest_when_no_size_is_named(everything):
    """As any file does."""
    reader = ChunkReader([b"abc", b"def"])

    assert reader.read(0) == b""
    assert reader.read(2) == b"ab"
    assert reader.read(*everything) == b"cdef"


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"rows": 0}, "--rows"),
        ({"rows": 60_000_000, "files": 2}, "--rows"),
        ({"rows": 1, "start_row": 100_000_000}, "--rows"),
        ({"rows": 1, "files": 0}, "--files"),
        ({"rows": 1, "error_rate": -0.1}, "--error-rate"),
        ({"rows": 1, "error_rate": 1.1}, "--error-rate"),
        ({"rows": 1, "error_rate": float("nan")}, "--error-rate"),
        ({"rows": 1, "seed": -1}, "--seed"),
        ({"rows": 1, "rows_per_customer": 0}, "--rows-per-customer"),
        ({"rows": 1, "start_row": -1}, "--start-row"),
        ({"rows": 1, "error_kinds": ()}, "--error-kinds"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong, option):
    """A spec that cannot be met is refused before a byte is made, by the name of its option."""
    with pytest.raises(ConfigurationError, match=option):
        GenerateSpec(**wrong)


@pytest.mark.parametrize("index", [-1, 2])
def test_a_file_that_the_set_does_not_have_is_refused(index):
    """Rows of the next set must not be made under this one's name."""
    spec = GenerateSpec(rows=1, files=2)

    with pytest.raises(ConfigurationError, match="file index"):
        file_name(spec, index)
    with pytest.raises(ConfigurationError, match="file index"):
        next(iter_csv(spec, index, Tally()))
