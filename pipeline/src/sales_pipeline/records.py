"""Cuts a stream of UTF-8 bytes into blocks of whole records, and parses a block of any kind.

polars is fast on regular CSV and undefined on the rest, so a block is given to it only after a
proof, on the bytes, that it is regular: every quote opens or closes a field, every record has the
same number of delimiters, no blank line, no lone carriage return. Whatever cannot be proved goes
record by record through the csv module, and a record that is broken costs that record alone.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from sales_pipeline.codes import RowCode

MAX_RECORD_BYTES = 1024 * 1024
"""A quote that does not close within this is a stray one."""

_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What polars strips; Python would strip four control characters more."""

COARSE_BYTES = 32 * 1024
FINE_BYTES = 4 * 1024
"""So much is looked at in one go: small, so that what is irregular slows down few neighbours."""

csv.field_size_limit(MAX_RECORD_BYTES)


@dataclass(frozen=True)
class Grammar:
    """How records and fields are told apart; each of the three is one ASCII character."""

    delimiter: str
    quote: str
    eol: str
    width: int
    """Fields in each record."""


@dataclass(frozen=True)
class RegularBlock:
    """Whole records that are proved regular."""

    data: bytes
    records: int


@dataclass
class ParsedBlock:
    """Records parsed one by one, in order."""

    rows: list[list[str]] = field(default_factory=list)
    """The records that have the right number of fields, and something in one of them."""
    row_numbers: list[int] = field(default_factory=list)
    """Their places within the block, from 0."""
    broken: list[tuple[int, RowCode]] = field(default_factory=list)
    """Place and code of each record that has not."""
    records: int = 0

    def add(self, cells: list[str], width: int) -> None:
        """Add a record, whole or not; a blank line is none."""
        if not cells:
            return
        if code := _code(cells, width):
            self.add_broken(code)
            return
        self.rows.append(cells)
        self.row_numbers.append(self.records)
        self.records += 1

    def add_broken(self, code: RowCode) -> None:
        """Add a record that is not one."""
        self.broken.append((self.records, code))
        self.records += 1


def _code(cells: list[str], width: int) -> RowCode | None:
    if not any(cell.strip(_WHITE_SPACE) for cell in cells):
        return RowCode.ROW_BLANK
    if len(cells) == width:
        return None
    return RowCode.ROW_TOO_FEW_FIELDS if len(cells) < width else RowCode.ROW_TOO_MANY_FIELDS


class InvalidUtf8Error(ValueError):
    """The bytes are not UTF-8 text."""


def blocks(
    chunks: Iterator[bytes], grammar: Grammar, block_bytes: int
) -> Iterator[RegularBlock | ParsedBlock]:
    """All records of a stream, in order, in blocks of at most about `block_bytes`.

    Raises:
        InvalidUtf8Error: An irregular block is not UTF-8; a regular one is not looked at.
    """
    buffer, ended, wanted = b"", False, block_bytes
    eol = grammar.eol.encode()
    while buffer or not ended:
        if not ended:
            buffer, ended = _fill(buffer, chunks, wanted)
        used = 0
        for block, size in _blocks_of(buffer, grammar, final=ended):
            used += size
            if block.records:
                yield block
        cut_off = used and not ended and not buffer.endswith(eol, 0, used)
        buffer = _after_line(chunks, eol) if cut_off else buffer[used:]
        # Not one whole record in it: take a longer look.
        wanted = block_bytes if used else 2 * len(buffer)


def _after_line(chunks: Iterator[bytes], eol: bytes) -> bytes:
    """Pass over the rest of a line that is too long; what follows it in its last chunk."""
    for chunk in chunks:
        _, found, rest = chunk.partition(eol)
        if found:
            return rest
    return b""


def _fill(buffer: bytes, chunks: Iterator[bytes], wanted: int) -> tuple[bytes, bool]:
    parts, size = [buffer], len(buffer)
    while size < wanted:
        chunk = next(chunks, None)
        if chunk is None:
            return b"".join(parts), True
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts), False


def _blocks_of(
    buffer: bytes, grammar: Grammar, *, final: bool
) -> Iterator[tuple[RegularBlock | ParsedBlock, int]]:
    """The whole records of a buffer in small blocks, and the bytes that each took."""
    eol = grammar.eol.encode()
    start, size = 0, COARSE_BYTES
    while start < len(buffer):
        window = buffer[start : start + size]
        to_the_end = start + len(window) == len(buffer)
        used = 0
        if to_the_end or eol in window:
            for block, taken in _sifted(window, grammar, final=final and to_the_end):
                yield block, taken
                used += taken
        if used:
            start, size = start + used, COARSE_BYTES
        elif to_the_end:
            return
        else:
            size *= 4


def _sifted(
    window: bytes, grammar: Grammar, *, final: bool
) -> Iterator[tuple[RegularBlock | ParsedBlock, int]]:
    """A window as one regular block, or what is irregular in it apart from the rest."""
    regular, used = _regular(window, grammar, final=final)
    if regular:
        yield regular, used
        return
    start, size = 0, FINE_BYTES
    while start < len(window):
        piece = window[start : start + size]
        to_the_end = start + len(piece) == len(window)
        block, used = _any_block(piece, grammar, final=final and to_the_end)
        if used and (to_the_end or grammar.eol.encode() in piece):
            yield block, used
            start, size = start + used, FINE_BYTES
        elif to_the_end:
            return
        else:
            size *= 4


def _any_block(
    piece: bytes, grammar: Grammar, *, final: bool
) -> tuple[RegularBlock | ParsedBlock, int]:
    regular, used = _regular(piece, grammar, final=final)
    return (regular, used) if regular else parse(piece, grammar, final=final)


def _regular(piece: bytes, grammar: Grammar, *, final: bool) -> tuple[RegularBlock | None, int]:
    """The whole records of a piece and their size, if they are regular."""
    cut, outside = _cut(piece, grammar, final=final)
    records = regular_records(outside, grammar) if cut else None
    return (None, 0) if records is None else (RegularBlock(piece[:cut], records), cut)


def _cut(buffer: bytes, grammar: Grammar, *, final: bool) -> tuple[int, bytes]:
    """Where the last whole record ends, and the text outside quotes up to there.

    Splitting at the quotes puts quoted text at odd places and the rest at even ones. In that rest
    each quoted field is left as one quote character, so that its neighbours can be looked at.
    """
    quote, eol = grammar.quote.encode(), grammar.eol.encode()
    pieces = buffer.split(quote)
    if final:
        return (len(buffer), quote.join(pieces[::2])) if len(pieces) % 2 else (0, b"")
    last = (len(pieces) - 1) // 2 * 2
    tail = sum(map(len, pieces[last + 1 :])) + len(pieces) - 1 - last
    while last >= 0:
        at = pieces[last].rfind(eol)
        if at >= 0:
            tail += len(pieces[last]) - at - 1
            kept = [*pieces[:last:2], pieces[last][: at + 1]]
            return len(buffer) - tail, quote.join(kept)
        tail += len(pieces[last]) + (len(pieces[last - 1]) + 2 if last else 0)
        last -= 2
    return 0, b""


def regular_records(outside: bytes, grammar: Grammar) -> int | None:
    """How many records the block has if it is regular, else None.

    Args:
        outside: The block with each quoted text replaced by one quote character.
        grammar: What regular means.
    """
    eol, delimiter = grammar.eol.encode(), grammar.delimiter.encode()
    lines = outside if outside.endswith(eol) else outside + eol
    skeleton = lines.translate(None, _all_but(delimiter + eol))
    records = len(skeleton) // grammar.width
    if skeleton != (delimiter * (grammar.width - 1) + eol) * records:
        return None
    regular = _line_ends_are_regular(lines, grammar) and _quotes_are_regular(lines, grammar)
    return records if regular else None


@cache
def _all_but(kept: bytes) -> bytes:
    return bytes(byte for byte in range(256) if byte not in kept)


def _line_ends_are_regular(lines: bytes, grammar: Grammar) -> bool:
    if grammar.eol == "\r" and b"\n" in lines:
        return False
    if grammar.eol == "\n" and b"\r" in lines and lines.count(b"\r") != lines.count(b"\r\n"):
        return False
    # Only in a file of one column does a blank line look like a record by its delimiters.
    return grammar.width > 1 or not _has_blank_line(lines, grammar.eol.encode())


def _has_blank_line(lines: bytes, eol: bytes) -> bool:
    return lines.startswith((eol, b"\r\n")) or eol + eol in lines or b"\n\r\n" in lines


def _quotes_are_regular(lines: bytes, grammar: Grammar) -> bool:
    """Whether what stands between two quoted fields ends one field and begins another.

    Nothing stands between the two halves of a field with a doubled quote inside.
    """
    quote, eol, delimiter = (c.encode() for c in (grammar.quote, grammar.eol, grammar.delimiter))
    between = lines.split(quote)
    heads, tails = {text[:1] for text in between[1:]}, {text[-1:] for text in between[:-1]}
    return heads <= {b"", delimiter, eol, b"\r"} and tails <= {b"", delimiter, eol}


def parse(buffer: bytes, grammar: Grammar, *, final: bool) -> tuple[ParsedBlock, int]:
    """The records of a buffer one by one, and how many bytes they took.

    A broken record ends with its first line, so that what follows it is not lost with it. Unless
    `final`, a record that reaches the end of the buffer is left for the next one.

    Raises:
        InvalidUtf8Error: The buffer is not UTF-8.
    """
    block = ParsedBlock()
    end = len(buffer) if final else buffer.rfind(grammar.eol.encode()) + 1
    if end == 0 and len(buffer) > MAX_RECORD_BYTES:
        block.add_broken(RowCode.ROW_MALFORMED)
        return block, len(buffer)
    lines, at, alone = _lines(buffer[:end], grammar.eol), 0, 0
    while at < len(lines):
        # Whatever starts before the line where a record broke and runs on would break there too:
        # such lines are read alone, or each of them would lead to that place again.
        upto = at + 1 if at < alone else len(lines)
        at, trouble = _parse_run(lines, at, upto, grammar, block)
        if at == upto:
            continue
        if trouble == len(lines) and not final and (left := _size(lines, at)) < MAX_RECORD_BYTES:
            return block, end - left
        block.add_broken(RowCode.ROW_MALFORMED)
        at, alone = at + 1, max(alone, trouble)
    return block, end


def _lines(data: bytes, eol: str) -> list[str]:
    try:
        lines = data.decode("utf-8").split(eol)
    except UnicodeDecodeError:
        # The decoder's own message quotes the bytes.
        raise InvalidUtf8Error from None
    return [line + eol for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _size(lines: list[str], at: int) -> int:
    return sum(len(line.encode()) for line in lines[at:])


def _parse_run(
    lines: list[str], start: int, upto: int, grammar: Grammar, block: ParsedBlock
) -> tuple[int, int]:
    """Parse from line `start` to `upto` or to the first broken record.

    Returns:
        The line where the broken record starts and the line where that came out, which is `upto`
        if a quote is still open there; twice `upto` if no record is broken.
    """
    at = start
    reader = csv.reader(
        (lines[i] for i in range(start, upto)),
        delimiter=grammar.delimiter,
        quotechar=grammar.quote,
        strict=True,
    )
    try:
        for cells in reader:
            reached = start + reader.line_num
            if len(cells) != grammar.width and reached - at > 1:
                return at, reached - 1
            block.add(cells, grammar.width)
            at = reached
    except csv.Error as error:
        # The module's texts are constant: they quote no data.
        still_open = "unexpected end of data" in str(error)
        return at, upto if still_open else start + reader.line_num - 1
    return upto, upto
