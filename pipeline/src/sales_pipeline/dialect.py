"""Finds out how a file is written, from its first bytes and the columns its contract needs.

A guess that could be wrong is an error: the delimiter is the one under which the header holds the
columns that are asked for. A header is quoted in a message only once it is known to be one (where
a file has none, its first line is data), and of it only what looks like a name (where a quote is
not closed, data follows the name).
"""

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass

from sales_api.v1alpha1 import Contract, Format, UnknownColumns
from sales_pipeline.codes import FileCode
from sales_pipeline.errors import ConfigurationError, PermanentError
from sales_pipeline.records import Grammar, InvalidUtf8Error

SAMPLE_BYTES = 256 * 1024
"""The header must lie within this."""

DELIMITERS = (",", ";", "\t", "|")
GZIP_MAGIC = b"\x1f\x8b"

_NAME = re.compile(r"[^\W\d][\w .()/%#-]{0,39}")
"""What of an unknown column may be shown: not an address, a number or half a file."""

_BOMS = (
    # The longer ones first: a UTF-32 BOM begins with a UTF-16 one.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    grammar: Grammar
    columns: tuple[str, ...]
    """Header names, stripped, in file order."""
    preamble_bytes: int
    """UTF-8 bytes before the first record: skipped lines and header."""


def encoding_of(head: bytes, fmt: Format) -> str:
    """The encoding of a file that begins with `head`: BOM first, then as declared, then UTF-8.

    Raises:
        ConfigurationError: The declared encoding is not one Python knows.
    """
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    name = fmt.encoding or "utf-8"
    try:
        # Python also calls things encodings that are not of text; it tells on use.
        " ".encode(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ConfigurationError(
            "the encoding is not known",
            where="format.encoding",
            mend="Use a name such as utf-8, utf-16-le, cp1252 or iso-8859-15.",
            code="request.encoding",
        ) from None


def sniff(sample: bytes, fmt: Format, contract: Contract, *, where: str) -> Dialect:
    """The dialect of a file whose text begins with `sample` (UTF-8).

    Raises:
        PermanentError: The file is empty, or its header does not hold what the contract needs.
        InvalidUtf8Error: The sample is not UTF-8.
    """
    text = _text(sample)
    if not text.strip():
        raise empty(where)
    eol = "\n" if "\n" in text or "\r" not in text else "\r"
    lines = [line + eol for line in text.split(eol)]
    preamble, rest = lines[: fmt.skip_lines], lines[fmt.skip_lines :]
    if not any(line.strip() for line in rest):
        raise _error(
            f"nothing follows the first {fmt.skip_lines} lines",
            where,
            "Send it again with content, or correct format.skipLines.",
            FileCode.EMPTY,
        )
    columns, delimiter, used = _header(rest, fmt, contract, where)
    _check_columns(columns, contract, where)
    skipped = sum(len(line.encode()) for line in [*preamble, *rest[:used]])
    grammar = Grammar(delimiter, fmt.quote, eol, len(columns))
    return Dialect(grammar, columns, skipped)


def empty(where: str) -> PermanentError:
    """The file has no content, or no records."""
    return _error("the file has no records", where, "Send it again with content.", FileCode.EMPTY)


def _text(sample: bytes) -> str:
    try:
        # Incremental: the sample may end within a character.
        return codecs.getincrementaldecoder("utf-8")("strict").decode(sample)
    except UnicodeDecodeError:
        raise InvalidUtf8Error from None


def _header(
    lines: list[str], fmt: Format, contract: Contract, where: str
) -> tuple[tuple[str, ...], str, int]:
    """Columns, delimiter, and how many lines the header took."""
    if not fmt.header:
        names = tuple(fmt.header_names)
        return names, fmt.delimiter or _delimiter_of_width(lines, fmt, len(names), where), 0
    candidates = [fmt.delimiter] if fmt.delimiter else _candidates(fmt)
    found = {d: _first_record(lines, d, fmt.quote) for d in candidates}
    best = max(candidates, key=lambda d: len(set(contract.origins()) & set(found[d][0])))
    columns, used = found[best]
    if missing := [c for c in contract.origins() if c not in columns]:
        raise _missing(missing, len(columns), fmt, where)
    return columns, best, used


def _candidates(fmt: Format) -> list[str]:
    return [delimiter for delimiter in DELIMITERS if delimiter != fmt.quote]


def _first_record(lines: list[str], delimiter: str, quote: str) -> tuple[tuple[str, ...], int]:
    reader = csv.reader(iter(lines), delimiter=delimiter, quotechar=quote, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                return tuple(cell.strip() for cell in cells), reader.line_num
    except csv.Error:
        pass
    return (), 0


def _delimiter_of_width(lines: list[str], fmt: Format, width: int, where: str) -> str:
    fitting = [d for d in _candidates(fmt) if len(_first_record(lines, d, fmt.quote)[0]) == width]
    if len(fitting) == 1:
        return fitting[0]
    raise _error(
        f"{'more than one' if fitting else 'no'} delimiter of comma, semicolon, tab and bar gives"
        f" the {width} columns of headerNames",
        where,
        "Name format.delimiter, or correct format.headerNames.",
        FileCode.DIALECT,
    )


def _check_columns(columns: tuple[str, ...], contract: Contract, where: str) -> None:
    needed = contract.origins()
    twice = [name for name, times in Counter(columns).items() if times > 1 and name in needed]
    if twice:
        raise _error(
            f"the header has these columns more than once: {', '.join(twice)}",
            where,
            "Rename the extra ones in the file.",
            FileCode.COLUMNS_DUPLICATE,
        )
    if missing := [name for name in needed if name not in columns]:
        raise _missing(missing, len(columns), Format(), where)
    unknown = [_shown(i, name) for i, name in enumerate(columns, 1) if name not in needed]
    if unknown and contract.unknown_columns is UnknownColumns.REFUSE:
        raise _error(
            f"the contract does not know these columns: {', '.join(unknown[:10])}",
            where,
            "Map them, or set contract.unknownColumns to Ignore.",
            FileCode.COLUMNS_UNKNOWN,
        )


def _shown(place: int, name: str) -> str:
    return name if _NAME.fullmatch(name) else f"(column {place})"


def _missing(missing: list[str], width: int, fmt: Format, where: str) -> PermanentError:
    delimiter = f"delimiter {fmt.delimiter!r}" if fmt.delimiter else "any usual delimiter"
    return _error(
        f"the header ({width} columns under {delimiter}) lacks: {', '.join(missing[:20])}",
        where,
        "Map the file's columns in contract.columns, or set format.delimiter, format.encoding,"
        " format.skipLines or format.header to what the file has.",
        FileCode.COLUMNS_MISSING,
    )


def _error(what: str, where: str, mend: str, code: FileCode) -> PermanentError:
    return PermanentError(what, where=where, mend=mend, code=code)
