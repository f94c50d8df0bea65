"""Cuts a stream of UTF-8 bytes into blocks of whole records, and parses a block of any kind.

polars is fast on regular CSV and undefined on the rest, so a block is given to it only after a
proof, on the bytes, that it is regular: every quote opens or closes a field, every record has the
same number of delimiters, no blank line, no lone carriage return. Whatever cannot be proved goes
record by record through the csv module, and a record that is broken costs that record alone.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from sales_pipeline.codes import RowCode

MAX_RECORD_BYTES = 1024 * 1024
"""A quote that does not close within this is a stray one."""

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
    """The records that have the right number of fields."""
    row_numbers: list[int] = field(default_factory=list)
    """Their places within the block, from 0."""
    broken: list[tuple[int, RowCode]] = field(default_factory=list)
    """Place and code of each record that has not."""
    records: int = 0

    def add(self, cells: list[str], width: int) -> None:
        """Add a record, whole or not; a blank line is none."""
        if len(cells) == width:
            self.rows.append(cells)
            self.row_numbers.append(self.records)
            self.records += 1
        elif cells:
            self.add_broken(_width_code(cells, width))

    def add_broken(self, code: RowCode) -> None:
        """Add a record that is not one."""
        self.broken.append((self.records, code))
        self.records += 1


def _width_code(cells: list[str], width: int) -> RowCode:
    if not any(cell.strip() for cell in cells):
        return RowCode.ROW_BLANK
    return RowCode.ROW_TOO_FEW_FIELDS if len(cells) < width else RowCode.ROW_TOO_MANY_FIELDS


class InvalidUtf8Error(ValueError):
    """The bytes are not UTF-8 text."""


def blocks(
    chunks: Iterator[bytes], grammar: Grammar, block_bytes: int
) -> Iterator[RegularBlock | ParsedBlock]:
    """All records of a stream, in order, in blocks of about `block_bytes`.

    Raises:
        InvalidUtf8Error: An irregular block is not UTF-8; a regular one is not looked at.
    """
    buffer, ended, wanted = b"", False, block_bytes
    while buffer or not ended:
        if not ended:
            buffer, ended = _fill(buffer, chunks, wanted)
        block, used = _next_block(buffer, grammar, final=ended)
        if block.records:
            yield block
        buffer = buffer[used:]
        # Not one whole record in it: take a longer look.
        wanted = block_bytes if used else len(buffer) + block_bytes


def _fill(buffer: bytes, chunks: Iterator[bytes], wanted: int) -> tuple[bytes, bool]:
    parts, size = [buffer], len(buffer)
    while size < wanted:
        chunk = next(chunks, None)
        if chunk is None:
            return b"".join(parts), True
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts), False


def _next_block(
    buffer: bytes, grammar: Grammar, *, final: bool
) -> tuple[RegularBlock | ParsedBlock, int]:
    cut, outside = _cut(buffer, grammar, final=final)
    if cut and (records := regular_records(outside, grammar)) is not None:
        return RegularBlock(buffer[:cut], records), cut
    return parse(buffer, grammar, final=final)


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
        outside: The block with each quoted field replaced by one quote character.
        grammar: What regular means.
    """
    eol, delimiter = grammar.eol.encode(), grammar.delimiter.encode()
    lines = outside if outside.endswith(eol) else outside + eol
    records = lines.count(eol)
    if eol == b"\n" and b"\r" in lines and lines.count(b"\r") != lines.count(b"\r\n"):
        return None
    # A blank line is found here too: it is a record without delimiters.
    if lines.count(delimiter) != records * (grammar.width - 1):
        return None
    return records if _quotes_are_regular(lines, grammar) else None


def _quotes_are_regular(lines: bytes, grammar: Grammar) -> bool:
    quote, eol, delimiter = (c.encode() for c in (grammar.quote, grammar.eol, grammar.delimiter))
    # A doubled quote inside a field left two quotes side by side: one field all the same.
    while quote + quote in lines:
        lines = lines.replace(quote + quote, quote)
    fields = lines.count(quote)
    if fields == 0:
        return True
    opened = lines.count(delimiter + quote) + lines.count(eol + quote) + lines.startswith(quote)
    closed = lines.count(quote + delimiter) + lines.count(quote + eol)
    if eol == b"\n" and b"\r" in lines:
        closed += lines.count(quote + b"\r")
    return opened == fields == closed


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
    lines, at = _lines(buffer[:end], grammar.eol), 0
    while at < len(lines):
        at, ending = _parse_run(lines, at, grammar, block)
        if ending is _Ending.DONE:
            break
        left = _size(lines, at) if ending is _Ending.OPEN and not final else MAX_RECORD_BYTES
        if left < MAX_RECORD_BYTES:
            return block, end - left
        block.add_broken(RowCode.ROW_MALFORMED)
        at += 1
    return block, end


class _Ending(Enum):
    DONE = "done"
    BROKEN = "broken"
    OPEN = "open"
    """A quote was still open at the last line."""


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
    lines: list[str], at: int, grammar: Grammar, block: ParsedBlock
) -> tuple[int, _Ending]:
    """Parse from line `at` to the end or to the first broken record; tells the line reached."""
    start = at
    feed = (lines[i] for i in range(start, len(lines)))
    reader = csv.reader(
        feed, delimiter=grammar.delimiter, quotechar=grammar.quote, strict=True, doublequote=True
    )
    try:
        for cells in reader:
            reached = start + reader.line_num
            if len(cells) != grammar.width and reached - at > 1:
                return at, _Ending.BROKEN
            block.add(cells, grammar.width)
            at = reached
    except csv.Error as error:
        # The module's texts are constant: they quote no data.
        return at, _Ending.OPEN if "unexpected end of data" in str(error) else _Ending.BROKEN
    return at, _Ending.DONE
