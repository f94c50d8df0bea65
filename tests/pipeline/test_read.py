"""The reader: bytes as they are stored become rows of text, or one reason why they cannot."""

import csv
import hashlib
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sales_api.v1alpha1 import Contract, Format, UnknownColumns
from sales_pipeline.errors import ConfigurationError
from sales_pipeline.read import HashedChunks, formats_to_try
from tests.support.csv_soup import files, soup
from tests.support.reading import any_columns, pieces, read, reader, refusal, sifting
from tests.support.sales_file import as_csv, sales
from tests.support.sales_record import COLUMNS

IGNORE = UnknownColumns.IGNORE
AB = any_columns(["a", "b"])
HEADER = ",".join(COLUMNS)
sizes = st.integers(1, 100)
BLOCKS = [1, 1 << 20]


def ab(text, fmt=None, **options):
    """Read a file of the columns a and b."""
    content = text if isinstance(text, bytes) else text.encode()
    return read(content, fmt, AB, **options)


def blank(cells):
    return not any(cell.strip("\t\v\f\n\r \x85\xa0\u2028") for cell in cells)


@given(files(), sizes, sizes)
def test_regular_file_reads_as_by_the_csv_module(file, block, piece):
    """Each record has the csv module's cells and its own number; blank ones are rejects."""
    rows, text = file
    names = [f"c{i}" for i in range(len(rows[0]) if rows else 2)]
    records = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    whole = [(n, row) for n, row in enumerate(records, 1) if not blank(row)]
    if not records:
        return

    got = read(
        f"{','.join(names)}\n{text}".encode(),
        contract=any_columns(names),
        block=block,
        piece=piece,
    )

    assert [(n, list(row.values())) for n, row in got.rows] == whole
    assert got.rejects == [(n, "row.blank") for n, row in enumerate(records, 1) if blank(row)]
    assert got.read == len(records)


@given(soup, sizes, sizes, st.booleans(), sizes)
@example('1,2\n,\n3,4\n"5"x,6\n7,8\n', 1000, 1000, False, 4)
def test_any_text_reads_the_same_in_any_blocks(text, block, piece, drop, sift):
    """Rows, numbers and codes do not depend on how the bytes arrive, nor on the fast way."""
    content = f"a,b\n0,0\n{text}".encode()
    fmt = Format(drop_blank_rows=drop)
    at_once = ab(content, fmt)

    with sifting(sift):
        assert ab(content, fmt, block=block, piece=piece) == at_once
        assert ab(content, fmt) == at_once


@given(soup, sizes)
def test_unread_columns_make_no_difference(text, block):
    """A column that nobody reads counts when fields are counted, and nowhere else."""
    content = f"a,b\n0,0\n{text}".encode()
    contract = any_columns(["b"], unknown_columns=IGNORE)

    some, every = read(content, contract=contract, block=block), ab(content)

    assert some.rejects == every.rejects
    assert some.rows == [(n, {"b": row["b"]}) for n, row in every.rows]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("drop", [True, False])
def test_row_with_something_in_an_unread_column_is_not_blank(block, drop):
    """It is not passed over: its columns are found missing later."""
    contract = any_columns(["a"], unknown_columns=IGNORE)
    fmt = Format(drop_blank_rows=drop)

    got = read(b"a,b\n1,2\n,total\n,\n", fmt, contract, block=block)

    assert got.rows == [(1, {"a": "1"}), (2, {"a": ""})]
    assert got.rejects == ([] if drop else [(3, "row.blank")])


def test_encoding_in_use_is_told():
    """The name goes into the error, so that one can see what was assumed."""
    assert reader(b"a,b\n", contract=AB).encoding == "utf-8"
    assert "valid cp1252" in str(refusal(b"a,b\n\x81,2\n", Format(encoding="cp1252"), AB))


def test_encoding_that_does_not_exist():
    """The request is wrong, not the file."""
    with pytest.raises(ConfigurationError):
        ab("a,b\n1,2\n", Format(encoding="hex"))


@pytest.mark.parametrize("block", BLOCKS)
def test_bom_in_the_middle_is_text(block):
    """Only the first characters of a file are a mark; files glued together show it."""
    assert ab("a,b\n\ufeff1,2\n", block=block).cells == [["\ufeff1", "2"]]


@pytest.mark.parametrize("block", BLOCKS)
def test_columns_in_any_order(block):
    """Names count, not places; names of no meaning may stand beside them."""
    contract = any_columns(["b", "a"], unknown_columns=IGNORE)

    got = read(b'a,,b,,"x\ny"\n1,2,3,4,5\n', contract=contract, block=block)

    assert got.rows == [(1, {"b": "3", "a": "1"})]


@pytest.mark.parametrize("block", BLOCKS)
def test_block_that_begins_like_compressed_data(block):
    """What looks like a zlib stream in the midst of a file is text."""
    text = "a,b\nx\x01,1\nx\x01,2\nx\u0680,3\n"

    assert [a for a, _ in ab(text, block=block).cells] == ["x\x01", "x\x01", "x\u0680"]


def test_row_numbers_count_records_not_lines():
    """A number is the record's place in the file: line breaks and blank lines do not count."""
    got = ab('a,b\n"1\n1",2\n\n3\n5,6\n', block=1)

    assert [number for number, _ in got.rows] == [1, 3]
    assert got.rejects == [(2, "row.too_few_fields")]


def test_default_contract_reads_a_default_file():
    """All sixteen columns, as they are."""
    rows = sales([1, 2])

    assert [row for _, row in read(as_csv(rows)).rows] == rows
    assert reader(as_csv(rows)).dialect.columns == tuple(COLUMNS)
    assert read(as_csv(rows), contract=Contract(unknown_columns=IGNORE)).read == 2


@given(st.binary(max_size=100), sizes)
def test_stored_bytes_are_hashed_as_they_pass(content, piece):
    """Also those that nobody reads; each is counted once."""
    seen = []
    chunks = HashedChunks(pieces(content, piece), seen.append)
    next(iter(chunks), None)
    chunks.drain()

    assert chunks.sha256 == hashlib.sha256(content).hexdigest()
    assert sum(seen) == len(content)


def test_fallback_is_tried_only_where_no_encoding_is_named():
    """Whoever names an encoding means it, in a dry run as in a load."""
    plain, named = Format(), Format(encoding="cp1252", fallback_encoding="utf-16")
    assert formats_to_try(plain) == [plain]
    assert formats_to_try(named) == [named]
    either = Format(fallback_encoding="cp1252")
    assert [f.encoding for f in formats_to_try(either)] == [None, "cp1252"]
