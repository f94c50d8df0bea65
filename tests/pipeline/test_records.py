"""Cutting a stream into blocks of whole records, and reading a block that is not regular."""

import csv
import io
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sales_pipeline import records
from sales_pipeline.codes import RowCode
from sales_pipeline.records import (
    MAX_RECORD_BYTES,
    Grammar,
    InvalidUtf8Error,
    ParsedBlock,
    RegularBlock,
    blocks,
    parse,
    regular_records,
)
from tests.support.csv_soup import ALPHABET, files, soup, written
from tests.support.reading import pieces, sifting

MALFORMED = RowCode.ROW_MALFORMED
sizes = st.integers(1, 200)


def grammar(width, eol="\n"):
    return Grammar(",", '"', eol, width)


def numbered(block, first=0):
    """Everything in a parsed block by place: cells, or a code."""
    found = dict(zip((first + n for n in block.row_numbers), block.rows, strict=True))
    found |= {first + place: code for place, code in block.broken}
    assert sorted(found) == list(range(first, first + block.records))
    return [found[place] for place in sorted(found)]


def all_records(data, shape, block_bytes=1 << 20, piece=1 << 20, sift=records.FINE_BYTES):
    """Each record of a stream: its cells or its code."""
    found = []
    with sifting(sift):
        read = list(blocks(pieces(data, piece), shape, block_bytes))
    for block in read:
        if isinstance(block, RegularBlock):
            parsed, used = parse(block.data, shape, final=True)
            assert used == len(block.data)
            assert parsed.records == block.records
        else:
            parsed = block
        found += numbered(parsed)
    return found


def whole(text, shape):
    """The same, read in one go and without the fast way."""
    block, used = parse(text.encode(), shape, final=True)
    assert used == len(text.encode())
    return numbered(block)


def blank(row):
    return pl.Series(row).str.strip_chars().eq("").all()


def expected(text):
    """What the csv module itself says of a regular text."""
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return [RowCode.ROW_BLANK if blank(row) else row for row in rows]


@given(files(), sizes, sizes, sizes)
def test_regular_csv_reads_as_by_the_csv_module(file, block_bytes, piece, sift):
    """Whatever the cells, the quoting, the line ends, the blocks and the chunks."""
    rows, text = file
    shape = grammar(len(rows[0]) if rows else 2)

    got = all_records(text.encode(), shape, block_bytes, piece, sift)

    assert got == expected(text)
    if all(row != [""] for row in rows):
        assert got == [RowCode.ROW_BLANK if blank(row) else row for row in rows]


@given(st.text(ALPHABET + "\t\v\f\x1d\x1e\x1f\u1680\u2000\u200b\u3000", max_size=8))
def test_blank_means_the_same_as_to_polars(text):
    """A record is blank exactly where polars would strip everything of it."""
    code = records._code([text], 1)

    assert (code is RowCode.ROW_BLANK) is blank([text])


@given(files(), st.integers(0, 30), st.integers(-1, 2))
def test_number_of_fields_decides(file, where, change):
    """A record with a field too few or too many is a reject; its neighbours are not touched."""
    rows, _ = file
    rows = [["x", *row] for row in rows if not any("\n" in c or "\r" in c for c in row)]
    width = len(rows[0]) if rows else 2
    odd = ["y"] * (width + change)
    at = where % (len(rows) + 1)
    text = written([*rows[:at], odd, *rows[at:]])

    got = all_records(text.encode(), grammar(width), 50, 7)

    codes = {-1: RowCode.ROW_TOO_FEW_FIELDS, 0: odd}
    assert got == [*rows[:at], codes.get(change, RowCode.ROW_TOO_MANY_FIELDS), *rows[at:]]


@given(soup, st.integers(1, 3), sizes, sizes, sizes)
@example('x","y\n' * 9 + '"z\n', 3, 10, 5, 3)
@example('"\n' * 9, 2, 10, 5, 3)
@example(',"x","y\n"\n""', 2, 1, 1, 1)
@example("\n,,", 2, 4, 1, 1)
def test_any_text_reads_the_same_in_any_blocks(text, width, block_bytes, piece, sift):
    """For records up to MAX_RECORD_BYTES neither blocks nor chunks show in the result."""
    shape = grammar(width)

    assert all_records(text.encode(), shape, block_bytes, piece, sift) == whole(text, shape)


@given(soup, st.integers(1, 3))
@example('x","y\n' * 5 + '"z\n', 3)
def test_every_line_is_accounted_for(text, width):
    """Each line that is not blank is in one record that was read, or is a reject itself."""
    shape = grammar(width)
    got = whole(text, shape)

    rest = text.split("\n")
    for record in got:
        while not rest[0].strip("\r"):
            del rest[0]
        taken = lines_of(record, rest)
        if isinstance(record, list):
            joined = io.StringIO("\n".join(rest[:taken]), newline="")
            assert list(csv.reader(joined)) == [record]
        del rest[:taken]
    assert "".join(rest).strip("\r") == ""


def lines_of(record, rest):
    """How many of the lines a record took."""
    if isinstance(record, list):
        return 1 + sum(cell.count("\n") for cell in record)
    if record is not RowCode.ROW_BLANK:
        return 1
    # Blank cells may hold line ends: as many lines as it takes for the quotes to close.
    return next(n for n in range(1, len(rest) + 1) if "".join(rest[:n]).count('"') % 2 == 0)


plain = st.text("ab1é", min_size=1, max_size=4)
quotable = st.one_of(plain, plain.map(lambda t: f"{t},{t}"), plain.map(lambda t: f'{t}"{t}'))


@given(
    st.lists(st.lists(quotable, min_size=3, max_size=3), min_size=1, max_size=10),
    st.integers(0, 9),
    st.sampled_from(['1,"open,2', '1,"in" side,2', '"x,y', 'a,b,"', 'a,"b""c,d']),
    sizes,
    sizes,
    sizes,
)
def test_stray_or_unclosed_quote_loses_only_its_record(rows, at, broken, block_bytes, piece, sift):
    """One reject in its place; each of its neighbours is read."""
    at %= len(rows) + 1
    lines = written(rows, quoting=csv.QUOTE_MINIMAL).splitlines()
    text = "\n".join([*lines[:at], broken, *lines[at:], ""])

    got = all_records(text.encode(), grammar(3), block_bytes, piece, sift)

    assert got == [*rows[:at], MALFORMED, *rows[at:]]


def test_quote_inside_an_unquoted_field_is_text():
    """An inch sign is no reason to lose a record."""
    assert all_records(b'1,10" wide,2\n3,4,5\n', grammar(3)) == [
        ["1", '10" wide', "2"],
        ["3", "4", "5"],
    ]


def test_record_after_a_multi_line_record_too_short_is_read():
    """A broken record ends with its first line, and what follows is read as it stands."""
    got = all_records(b'"a\nb",2\n1,2,3\n', grammar(3))

    assert got == [MALFORMED, RowCode.ROW_TOO_FEW_FIELDS, ["1", "2", "3"]]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_last_line_needs_no_end(end):
    """The last record counts with its line end or without."""
    assert all_records(b"1,2\n3,4" + end.encode(), grammar(2)) == [["1", "2"], ["3", "4"]]


def test_last_line_cut_off_inside_quotes():
    """The record that was being written is a reject, not the rest of the file."""
    assert all_records(b'1,2\n3,"4', grammar(2), 5, 3) == [["1", "2"], MALFORMED]


@pytest.mark.parametrize("block_bytes", [1, 1000])
def test_lone_carriage_return_breaks_its_record(block_bytes):
    """In a file of line feeds a bare carriage return is neither text nor line end."""
    got = all_records(b"1,2\n3\r,4\n5,6\n", grammar(2), block_bytes)

    assert got == [["1", "2"], MALFORMED, ["5", "6"]]


@pytest.mark.parametrize("block_bytes", [1, 1000])
def test_line_feed_in_a_file_of_carriage_returns(block_bytes):
    """The same the other way round: quoted it is text, bare it breaks the record."""
    got = all_records(b'1,2\r3\n,4\r5,"6\n7"\r', grammar(2, "\r"), block_bytes)

    assert got == [["1", "2"], MALFORMED, ["5", "6\n7"]]


@pytest.mark.parametrize(
    ("outside", "eol"),
    [
        (b"1,2\r3\n,4\r", "\r"),
        (b"1,2\n3\r,4\n", "\n"),
        (b"1,2\n3\n", "\n"),
        (b"1,2,3\n4\n", "\n"),
        (b"\n1,2,3\n", "\n"),
        (b'1,x"\n', "\n"),
        (b'1,"x\n', "\n"),
    ],
)
def test_what_is_not_proved_regular(outside, eol):
    """Polars would make something of each of these, and something else than the csv module."""
    assert regular_records(outside, grammar(2, eol)) is None


@pytest.mark.parametrize("text", ["\n\n1,2\n\n\n3,4\n\n", "\r\n1,2\r\n\r\n3,4"])
def test_blank_lines_are_no_records(text):
    """They have no number and are no rejects."""
    assert all_records(text.encode(), grammar(2)) == [["1", "2"], ["3", "4"]]


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_blank_lines_of_a_file_of_one_column(eol):
    """There is no delimiter to tell a blank line by, and still it is no record."""
    text = eol.join(["", "1", "", "2", "", ""])

    assert all_records(text.encode(), grammar(1)) == [["1"], ["2"]]


def test_row_of_delimiters_alone_is_blank():
    """Blank wins over the wrong number of fields."""
    got = all_records(b',,\n , \n"  ","\t",""\n', grammar(3))

    assert got == [RowCode.ROW_BLANK] * 3


def test_bytes_that_are_no_text():
    """An irregular block that is not UTF-8 is an error that holds none of the bytes."""
    with pytest.raises(InvalidUtf8Error) as caught:
        all_records(b'1,"\xff\n', grammar(2))
    assert caught.value.args == ()
    assert caught.value.__cause__ is None


def test_line_longer_than_any_record():
    """However it is cut, it is one reject, and no piece of it passes for a record."""
    long = b"1,2," * MAX_RECORD_BYTES
    data = b"1,2\n" + long + b"\n3,4\n"

    for block_bytes, piece in ((1000, 4096), (MAX_RECORD_BYTES, 1 << 16), (1 << 23, 1 << 23)):
        got = all_records(data, grammar(2), block_bytes, piece)
        too_long = MALFORMED if block_bytes < 1 << 23 else RowCode.ROW_TOO_MANY_FIELDS
        assert got == [["1", "2"], too_long, ["3", "4"]]


def test_line_longer_than_any_record_at_the_end():
    """There is nothing after it to be found."""
    data = b"1,2\n" + b"x" * (MAX_RECORD_BYTES * 2)

    assert all_records(data, grammar(2), 1000, 50_000) == [["1", "2"], MALFORMED]


def test_quote_that_does_not_close_is_given_up():
    """After MAX_RECORD_BYTES the quote counts as a stray one, so that memory stays bounded."""
    lines = MAX_RECORD_BYTES // 2
    data = b'0,"open\n' + b"1,2\n" * lines
    sent, held, got = 0, [], 0

    def chunks():
        nonlocal sent
        for chunk in pieces(data, 1 << 16):
            sent += len(chunk)
            yield chunk

    for block in blocks(chunks(), grammar(2), 1 << 16):
        held.append(sent - got * len(b"1,2\n"))
        got += block.records
        if isinstance(block, ParsedBlock):
            assert block.broken in ([], [(0, MALFORMED)])
    assert got == 1 + lines
    assert max(held) < 3 * MAX_RECORD_BYTES


@pytest.fixture
def lines_parsed(monkeypatch):
    """Counts the lines that are handed to the csv module."""
    counted = []

    def counting(lines, **kwargs):
        return csv.reader((counted.append(1) or line for line in lines), **kwargs)

    monkeypatch.setattr(records, "csv", SimpleNamespace(reader=counting, Error=csv.Error))
    return counted


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize(
    "text",
    [
        'x","y\n' * 3000,
        'x","y\n' * 3000 + '"z\n',
        'x","y\n' * 3000 + '"\n',
        '"\n' * 3000,
        '",\n' * 3000,
        '1,"open\n' * 3000,
        '"' + "a,b\n" * 3000,
        ('"' + "a,b\n" * 50) * 60,
        "a\n" * 3000,
        ('x","y\n' * 30 + '"z\n') * 100,
    ],
)
def test_broken_lines_cost_in_proportion(text, width, final, lines_parsed):
    """No line is looked at more than a few times, however many before it are broken."""
    parse(text.encode(), grammar(width), final=final)

    assert len(lines_parsed) <= 3 * text.count("\n")


@given(soup, st.integers(1, 3))
def test_lines_cost_in_proportion_in_any_text(text, width):
    """The same bound for text nobody thought of."""
    counted = []

    def counting(lines, **kwargs):
        return csv.reader((counted.append(1) or line for line in lines), **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "csv", SimpleNamespace(reader=counting, Error=csv.Error))
        parse((text * 5).encode(), grammar(width), final=True)

    assert len(counted) <= 3 * (text * 5).count("\n") + 3
