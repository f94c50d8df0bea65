"""Files that other pipelines read wrongly, and what becomes of each of them here."""

import gzip
import tracemalloc
import zlib

import pytest

from sales_api.v1alpha1 import Format, UnknownColumns
from sales_pipeline.codes import FileCode
from tests.support.reading import any_columns, judge, read, refusal
from tests.support.sales_file import as_csv, sales

IGNORE = UnknownColumns.IGNORE
AB = any_columns(["a", "b"])
BLOCKS = [1, 1 << 20]


def ab(text, fmt=None, **options):
    """Read a file of the columns a and b."""
    content = text if isinstance(text, bytes) else text.encode()
    return read(content, fmt, AB, **options)


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_short_row(block):
    """Rejected, not padded with nulls."""
    got = ab("a,b\n1,2\n3\n5,6\n", block=block)

    assert got.cells == [["1", "2"], ["5", "6"]]
    assert got.rejects == [(2, "row.too_few_fields")]


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_long_row(block):
    """Rejected, not cut off."""
    got = ab("a,b\n1,2\n3,4,5\n6,7\n", block=block)

    assert got.cells == [["1", "2"], ["6", "7"]]
    assert got.rejects == [(2, "row.too_many_fields")]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("pair", ["3\n4,5,6\n", "3,4,5\n6\n", "\n3,4,5\n"])
def test_trap_short_row_beside_a_long_one(pair, block):
    """Together they have the right number of delimiters, and are rejected each for itself."""
    got = ab(f"a,b\n1,2\n{pair}7,8\n", block=block)

    assert got.cells == [["1", "2"], ["7", "8"]]
    assert len(got.rejects) == len(pair.split())


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("broken", ['3,"4"x', '3,"4', '"3,4', '"3"4",5'])
def test_trap_one_stray_quote(broken, block):
    """It costs its own record and no other, also where it never closes."""
    got = ab(f'a,b\n1,"2"\n{broken}\n5,"6"\n7,8\n', block=block)

    assert got.cells == [["1", "2"], ["5", "6"], ["7", "8"]]
    assert got.rejects == [(2, "row.malformed")]


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_carriage_returns_alone(block):
    """Line ends of an old Macintosh are line ends."""
    assert ab('a,b\r1,2\r"3\r3",4', block=block).cells == [["1", "2"], ["3\r3", "4"]]


def test_trap_carriage_returns_with_a_line_feed_in_a_cell():
    """It cannot be told for certain where such lines end: refused, with a reason."""
    assert refusal(b'a,b\r1,"2\n2"\r', contract=AB).code == FileCode.COLUMNS_MISSING


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_trap_utf16_with_bom(encoding, piece):
    """The mark tells the encoding; characters may be cut in pieces on their way."""
    bom = b"\xfe\xff" if encoding == "utf-16-be" else b""

    got = ab(bom + "a,b\né,𝄞中\n".encode(encoding), piece=piece)

    assert got.cells == [["é", "𝄞中"]]


def test_trap_utf16_without_bom():
    """Undeclared it is no header of ours, declared it is text."""
    content = "a,b\né,2\n".encode("utf-16-le")

    assert refusal(content, contract=AB).code in {FileCode.COLUMNS_MISSING, FileCode.ENCODING}
    assert ab(content, Format(encoding="utf-16-le")).cells == [["é", "2"]]


def test_trap_utf16_cut_off():
    """Half a character at the end is damage."""
    assert refusal("a,b\n1,2\n".encode("utf-16")[:-1], contract=AB).code == FileCode.ENCODING


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_trap_semicolon_file(delimiter):
    """It is not read as one column; its commas are text."""
    got = ab(f'a{delimiter}b\n1,5{delimiter}"2{delimiter}5"\n')

    assert got.cells == [["1,5", f"2{delimiter}5"]]


def test_trap_semicolon_file_declared_as_commas():
    """What is declared is not overruled: refused, with all one needs to correct it."""
    error = refusal(b"a;b\n1;2\n", Format(delimiter=","), AB)

    assert error.code == FileCode.COLUMNS_MISSING
    assert "format.delimiter" in error.mend


def test_trap_duplicate_header_names():
    """A needed name that comes twice is refused."""
    assert refusal(b"a,b,b\n1,2,3\n", contract=AB).code == FileCode.COLUMNS_DUPLICATE


@pytest.mark.parametrize("text", ["a,b", "a,b\n", "a,b\r\n\r\n\n"])
@pytest.mark.parametrize("drop", [True, False])
def test_trap_header_only(text, drop):
    """A file that was cut off after its header looks like this: refused."""
    error = refusal(text.encode(), Format(drop_blank_rows=drop), AB)

    assert error.code == FileCode.EMPTY
    assert "no records" in str(error)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_trap_empty_file(content):
    """No bytes, no text, no characters after the mark: refused."""
    assert refusal(content).code == FileCode.EMPTY


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    ("end", "code"),
    [("5", "row.too_few_fields"), ('5,"6', "row.malformed"), ('"5', "row.malformed")],
)
def test_trap_last_line_cut_off(end, code, block):
    """The line that was cut is rejected, what came before it is read."""
    got = ab(f"a,b\n1,2\n3,4\n{end}", block=block)

    assert got.cells == [["1", "2"], ["3", "4"]]
    assert got.rejects == [(3, code)]


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_last_line_cut_within_a_character(block):
    """Half a character is no text in any encoding: refused, for the encoding."""
    assert refusal("a,b\n1,é".encode()[:-1], contract=AB, block=block).code == FileCode.ENCODING


@pytest.mark.parametrize("line", [",", " ,\t", '"",""', ",,,,", " "])
def test_trap_sixty_thousand_blank_rows(line):
    """Each is rejected as blank, or all are passed over where the contract says so."""
    content = f"a,b\n1,2\n{line}\n".encode() + f"{line}\n".encode() * 59_999 + b"3,4\n"

    got = ab(content)
    assert got.cells == [["1", "2"], ["3", "4"]]
    assert got.rejects == [(n, "row.blank") for n in range(2, 60_002)]
    assert got.read == 60_002

    got = ab(content, Format(drop_blank_rows=True))
    assert [number for number, _ in got.rows] == [1, 60_002]
    assert (got.rejects, got.read) == ([], 2)


def test_trap_blank_rows_and_nothing_else():
    """With the blank rows passed over, the file has no records: refused."""
    content = b"a,b\n" + b",\n" * 1000

    assert refusal(content, Format(drop_blank_rows=True), AB).code == FileCode.EMPTY
    assert len(ab(content).rejects) == 1000


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_nul_bytes(block):
    """They are text to the reader, and a reason to reject to the rules."""
    assert ab("a,b\n1\x00,2\n", block=block).cells == [["1\x00", "2"]]

    rows = sales([1, 2])
    rows[0]["product_title"] = "Engi\x00ne"
    judged = judge(as_csv(rows), block=block)
    assert judged.rejected == {1: ["product_title.characters"]}


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_trap_gzip(piece):
    """A compressed file is read like any other, also in members one after the other."""
    members = gzip.compress(b"a,b\n1,2\n3") + gzip.compress(b"") + gzip.compress(b",4\n")

    assert ab(members, piece=piece).cells == [["1", "2"], ["3", "4"]]


@pytest.mark.parametrize("piece", [1, 1 << 20])
@pytest.mark.parametrize("damage", ["cut", "cut in header", "flipped", "more", "length"])
def test_trap_gzip_damaged(damage, piece):
    """Cut off or altered anywhere, it is refused; what was read before does not count."""
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)
    content = {
        "cut": whole[:-9],
        "cut in header": whole[:5],
        "flipped": whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:],
        "more": whole + b"more",
        "length": whole[:-1],
    }[damage]

    error = refusal(content, contract=AB, piece=piece)

    assert error.code == FileCode.COMPRESSION


def test_trap_gzip_bomb():
    """What unpacks to much more than it is goes through in pieces: memory is bounded."""
    packer = zlib.compressobj(9, wbits=31)
    header = packer.compress(b"a,b\n")
    bomb = header + b"".join(packer.compress(b"0" * (1 << 20)) for _ in range(96)) + packer.flush()
    assert len(bomb) < 1 << 20

    tracemalloc.start()
    got = ab(bomb, block=1 << 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert got.rejects == [(1, "row.malformed")]
    assert peak < 16 << 20


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_leading_zeros_and_an_odd_cell_late(block):
    """Every column is text: nothing is inferred from the rows before."""
    lines = "".join(f"{n:010},1\n" for n in range(2000))

    got = ab(f"a,b\n{lines}0000000007,odd\n", block=block)

    assert got.cells[7] == ["0000000007", "1"]
    assert got.cells[-1] == ["0000000007", "odd"]


def test_trap_replacement_characters():
    """Text that an earlier program damaged is rejected by every column of text."""
    rows = sales([1, 2, 3])
    rows[0]["customer_name"] = "Ren\ufffd"
    rows[1]["customer_email"] = "ren\ufffd@example.com"

    assert judge(as_csv(rows)).rejected == {
        1: ["customer_name.characters"],
        2: ["customer_email.format"],
    }


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("where", ["header", "first row", "late", "unread column"])
def test_trap_wrong_encoding(where, block):
    """Bytes that are not UTF-8 refuse the file wherever they stand; they are never replaced."""
    odd = {"header": "ö,b,c\n1,2,3\n", "first row": "a,b,c\nö,2,3\n"}
    late = "a,b,c\n" + "1,2,3\n" * 50_000
    content = {**odd, "late": f"{late}ö,2,3\n", "unread column": f"{late}1,2,ö\n"}[where]
    contract = any_columns(["b"], unknown_columns=IGNORE)

    error = refusal(content.encode("cp1252"), contract=contract, block=max(block, 1 << 10))

    assert error.code == FileCode.ENCODING
    assert "fallbackEncoding" in error.mend


def test_trap_wrong_guess_of_utf8():
    """A file in a declared encoding is read in it, or refused: cp1252 has bytes without meaning."""
    fmt = Format(encoding="cp1252")

    assert ab("a,b\nö,€\n".encode("cp1252"), fmt).cells == [["ö", "€"]]
    assert refusal(b"a,b\n\x81,2\n", fmt, AB).code == FileCode.ENCODING


@pytest.mark.parametrize("block", BLOCKS)
def test_trap_bom_and_crlf(block):
    """As Excel writes it: neither mark nor carriage return becomes part of a value."""
    got = ab(b'\xef\xbb\xbfa,b\r\n1,2\r\n"3\r\n3","4"\r\n', block=block)

    assert got.cells == [["1", "2"], ["3\r\n3", "4"]]


def test_trap_file_without_header():
    """With its names given it is read from the first line on."""
    fmt = Format(header=False, header_names=["b", "a"])

    got = ab("1,2\n3,4\n", fmt)

    assert got.rows == [(1, {"a": "2", "b": "1"}), (2, {"a": "4", "b": "3"})]


def test_trap_file_without_header_undeclared():
    """Its first row is no header, and is not shown as one."""
    content = as_csv(sales([1, 2])).partition(b"\n")[2]

    error = refusal(content)

    assert error.code == FileCode.COLUMNS_MISSING
    for word in ("Ada", "example.com", "0143", "James", "ORD-"):
        assert word not in f"{error!r} {error}"


@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_trap_preamble(piece):
    """Its lines are skipped, the rest is read to the last byte."""
    got = ab('Sales "2024\n\nso,many,commas\na,b\n1,2\n', Format(skip_lines=3), piece=piece)

    assert got.rows == [(1, {"a": "1", "b": "2"})]


def test_trap_unknown_columns():
    """Refused by name, or ignored where the contract says so."""
    content = b"x,a,y,b\n1,2,3,4\n"

    assert "know these columns: x, y" in str(refusal(content, contract=AB))
    got = read(content, contract=any_columns(["a", "b"], unknown_columns=IGNORE))
    assert got.cells == [["2", "4"]]
