"""How a file is written, found out from its first bytes, or a reason why it cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.v1alpha1 import Contract, Format, UnknownColumns
from sales_pipeline.codes import FileCode
from sales_pipeline.dialect import DELIMITERS, encoding_of, sniff
from sales_pipeline.errors import ConfigurationError, PermanentError
from sales_pipeline.records import InvalidUtf8Error
from tests.support.reading import any_columns
from tests.support.sales_record import COLUMNS

SECRET = "Ada Lovelace,ada@example.com,555-0143"
IGNORE = UnknownColumns.IGNORE


def sniffed(text, fmt=None, contract=None):
    content = text if isinstance(text, bytes) else text.encode()
    return sniff(content, fmt or Format(), contract or any_columns(["a", "b"]), where="raw/x.csv")


def refused(text, fmt=None, contract=None):
    with pytest.raises(PermanentError) as caught:
        sniffed(text, fmt, contract)
    return caught.value


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_end_are_found(delimiter, eol):
    """Under the right delimiter the header holds the columns that are asked for."""
    text = delimiter.join(COLUMNS) + eol + "1" + eol

    found = sniffed(text, contract=Contract())

    assert (found.grammar.delimiter, found.grammar.width) == (delimiter, 16)
    assert found.grammar.eol == eol[-1]
    assert found.columns == tuple(COLUMNS)
    assert text.encode()[found.preamble_bytes :] == b"1" + eol.encode()


def test_header_in_quotes_with_line_ends_and_blanks():
    """Names are stripped; a line end in quotes is part of a name."""
    found = sniffed('" a ","b",c\n1,2,3\n', contract=any_columns(["a", "b", "c"]))
    assert found.columns == ("a", "b", "c")

    found = sniffed('a,"b\nb"\n1,2\n', contract=any_columns(["a", "b\nb"]))
    assert found.preamble_bytes == len('a,"b\nb"\n')


def test_blank_lines_before_the_header_are_passed_over():
    """The header is the first line with something in it."""
    found = sniffed("\n , \n\na,b\n1,2\n")

    assert found.columns == ("a", "b")
    assert found.preamble_bytes == len("\n , \n\na,b\n")


def test_preamble_lines_are_skipped():
    """As many as declared, whatever stands in them."""
    found = sniffed('Export of "today\n\na,b\n1,2\n', Format(skip_lines=2))

    assert found.columns == ("a", "b")
    assert found.preamble_bytes == len('Export of "today\n\na,b\n')


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("text", ["one\ntwo", "one\ntwo\n", "one\ntwo\n\n \n"])
def test_preamble_and_nothing_else(text, header):
    """A file shorter than its preamble is refused, with a header or without."""
    names = {} if header else {"header_names": ["a", "b"], "delimiter": ","}

    error = refused(text, Format(skip_lines=2, header=header, **names))

    assert error.code == FileCode.EMPTY
    assert "2 lines" in str(error)


@pytest.mark.parametrize("text", ["", "\n", " \t\r\n\n", "\x1f"])
def test_no_content(text):
    """Nothing, or nothing but blanks, is refused."""
    assert refused(text).code == FileCode.EMPTY


def test_semicolons_read_as_declared_commas():
    """The message tells how many columns were found, under which delimiter, and what is missing."""
    error = refused("a;b\n1;2\n", Format(delimiter=","))

    assert error.code == FileCode.COLUMNS_MISSING
    assert "1 columns under delimiter ','" in str(error)
    assert "a, b" in str(error)


def test_needed_column_twice():
    """Which of two is meant is nobody's guess."""
    error = refused("a,b,a\n1,2,3\n")

    assert error.code == FileCode.COLUMNS_DUPLICATE
    assert "more than once: a" in str(error)


def test_unread_columns_may_repeat():
    """What is not read may have any name, or another's, or none."""
    contract = any_columns(["a", "b"], unknown_columns=IGNORE)

    assert sniffed("x,a,x,b,,\n", contract=contract).columns == ("x", "a", "x", "b", "", "")


def test_unknown_columns_are_named():
    """By name where it looks like one, else by place."""
    error = refused('a,b,Tax 5%,,"12 Main St\nSpringfield",ada@example.com,_id\n')

    assert error.code == FileCode.COLUMNS_UNKNOWN
    assert "columns: Tax 5%, (column 4), (column 5), (column 6), _id." in str(error).replace(
        " [file.columns_unknown]", ""
    )


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET}\n",
        f"{SECRET}\n" * 3,
        f'a,b,"c\n{SECRET}\n{SECRET}\n',
        f'a,b,"c\n1,"",{SECRET}"\n1,2,3\n',
        f'a,b,"c\n{SECRET},"\n1,2,3\n',
        f'a;"b\n{SECRET}',
        f"a,b\r{SECRET}\nx",
    ],
)
def test_data_that_stands_for_a_header_is_not_quoted(text):
    """A file without a header, or with an open quote in it, shows nothing of its rows."""
    error = refused(text)

    assert error.code in {FileCode.COLUMNS_MISSING, FileCode.COLUMNS_UNKNOWN}
    for word in SECRET.replace("@", ",").split(","):
        assert word not in str(error)


def test_header_with_an_open_quote_swallows_no_rows():
    """Also where unknown columns are ignored: the rows would be part of a name."""
    contract = any_columns(["a", "b"], unknown_columns=IGNORE)

    assert refused('a,b,"c\n1,2,3\n4,5,6\n', contract=contract).code == FileCode.COLUMNS_MISSING


def test_header_names_where_there_is_no_header():
    """They name the columns, and the first line is a record."""
    found = sniffed("1;2\n", Format(header=False, header_names=["a", "b"]))

    assert found.columns == ("a", "b")
    assert (found.grammar.delimiter, found.preamble_bytes) == (";", 0)


@pytest.mark.parametrize(
    ("text", "names", "says"),
    [
        ("1;2\n", ["a", "b", "c"], "no delimiter"),
        ("1,1;2,2;3\n", ["a", "b", "c"], "more than one delimiter"),
        ("1\n", ["a"], "more than one delimiter"),
        ('"1;2\n', ["a", "b"], "no delimiter"),
    ],
)
def test_delimiter_without_header_must_be_certain(text, names, says):
    """None that gives the declared width, or more than one that does, is an error."""
    contract = any_columns(names)

    error = refused(text, Format(header=False, header_names=names), contract)

    assert error.code == FileCode.DIALECT
    assert says in str(error)


def test_declared_delimiter_is_not_doubted():
    """Where it is named, a headerless file needs no guess."""
    fmt = Format(header=False, header_names=["a", "b"], delimiter=",")

    assert sniffed("1\n", fmt).grammar.width == 2


def test_header_names_lack_a_needed_column():
    """The contract's columns are looked for in the declared names as well."""
    fmt = Format(header=False, header_names=["a", "c"], delimiter=",")

    assert refused("1,2\n", fmt).code == FileCode.COLUMNS_MISSING


def test_quote_is_no_delimiter():
    """A quote character of one's own is left out of the guess."""
    found = sniffed("|a|,|b|\n", Format(quote="|"))

    assert found.columns == ("a", "b")
    assert found.grammar.quote == "|"


def test_sample_may_end_within_a_character():
    """The rest of it comes with the rest of the file."""
    assert sniffed("a,b\n1,é".encode()[:-1]).columns == ("a", "b")


@pytest.mark.parametrize(
    "text", [b"caf\xe9\na,b\n1,2\n", b"a,b,caf\xe9\n1,2,3\n", b"a,b\n\xff,2\n"]
)
def test_sample_that_is_no_text(text):
    """Bytes in the header or before it count: they decide where the records begin."""
    contract = any_columns(["a", "b"], unknown_columns=IGNORE)

    with pytest.raises(InvalidUtf8Error):
        sniffed(text, Format(skip_lines=1) if text.startswith(b"caf") else None, contract)


def outcome(content):
    try:
        return sniffed(content, contract=any_columns(["a", "b"], unknown_columns=IGNORE))
    except (InvalidUtf8Error, PermanentError) as error:
        return error


@given(st.sampled_from([b"a,b\n", b'"a";b;', b""]), st.binary(max_size=60))
def test_any_bytes_give_a_dialect_or_a_known_error(head, content):
    """Nothing else comes out: no crash, and no dialect of what is no text."""
    found = outcome(head + content)

    if isinstance(found, PermanentError):
        assert found.code in set(FileCode)
    elif isinstance(found, InvalidUtf8Error):
        assert (head + content).decode("utf-8", "ignore").encode() != head + content
    else:
        assert {"a", "b"} <= set(found.columns)


@pytest.mark.parametrize(
    ("head", "declared", "encoding"),
    [
        (b"order", None, "utf-8"),
        (b"", None, "utf-8"),
        (b"order", "UTF8", "utf-8"),
        (b"order", "latin-1", "iso8859-1"),
        (b"order", "cp1252", "cp1252"),
        (b"\xef\xbb\xbfo", None, "utf-8-sig"),
        (b"\xef\xbb\xbfo", "cp1252", "utf-8-sig"),
        (b"\xff\xfeo\x00", None, "utf-16"),
        (b"\xff\xfeo\x00", "utf-16-le", "utf-16"),
        (b"\xfe\xff\x00o", None, "utf-16"),
        (b"\xff\xfe\x00\x00", None, "utf-32"),
        (b"\x00\x00\xfe\xff", None, "utf-32"),
    ],
)
def test_encoding_is_by_mark_then_as_declared_then_utf8(head, declared, encoding):
    """A BOM is certain, a declaration is believed, and without either it must be UTF-8."""
    assert encoding_of(head, Format(encoding=declared)) == encoding


@pytest.mark.parametrize("name", ["utf-9", "hex", "rot13", "undefined", "a\x00b", "é", "x" * 255])
def test_encoding_that_does_not_exist(name):
    """What Python cannot make text of is a mistake in the request."""
    with pytest.raises(ConfigurationError) as caught:
        encoding_of(b"", Format(encoding=name))
    assert caught.value.code == "request.encoding"
