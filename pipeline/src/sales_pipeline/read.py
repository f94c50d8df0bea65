"""Stage 1: the bytes of an object become batches of text columns with row numbers.

Every column is read as text: type inference loses leading zeros and gives up on one odd cell late
in a file. Memory is a small multiple of the block size, whatever the size of the object.
"""

import codecs
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain

import polars as pl

from sales_api.v1alpha1 import Contract, Format
from sales_pipeline import dialect, records
from sales_pipeline.codes import FileCode, RowCode
from sales_pipeline.errors import PermanentError
from sales_pipeline.records import InvalidUtf8Error, ParsedBlock, RegularBlock, blocks

ROW_NUMBER = "__row_number__"
"""The record's place in the file, from 1; named so that no file has such a column."""

REJECT_SCHEMA = pl.Schema({"row_number": pl.Int64, "field": pl.String, "code": pl.String})

_GZIP = 31
_ROW_BYTES = 256
_MISTAKABLE = (codecs.BOM_UTF8, b"x\x01", b"x\x9c", b"x\xda")
"""Beginnings of text that polars takes for a mark, or for zlib's compressed data."""


@dataclass(frozen=True)
class Group:
    """Neighbouring records, not yet parsed."""

    first: int
    """The number of the first of them."""
    blocks: list[RegularBlock | ParsedBlock]


@dataclass(frozen=True)
class Batch:
    """Some records of an object, in file order."""

    frame: pl.DataFrame
    """ROW_NUMBER and the columns that the contract reads, as text; null where empty."""
    rejects: pl.DataFrame
    """Of REJECT_SCHEMA: records that are not rows at all."""
    read: int
    """Records in this batch: rows of the frame plus rejects."""


class HashedChunks:
    """The stored bytes of an object, hashed as they pass.

    Not a generator: one would be closed with the reader, and a bad file is hashed to its end too.

    Args:
        chunks: The bytes.
        on_bytes: Told the size of each chunk.
    """

    def __init__(self, chunks: Iterator[bytes], on_bytes: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self._digest.update(chunk)
        self._on_bytes(len(chunk))
        return chunk

    def drain(self) -> None:
        """Read what nobody has read."""
        for _ in self:
            pass

    @property
    def sha256(self) -> str:
        """SHA-256 of all that has passed, in hex."""
        return self._digest.hexdigest()


class Reader:
    """An object being read.

    Args:
        chunks: The object's bytes as stored.
        fmt: How they are written, as far as it is declared.
        contract: Which columns are needed.
        where: The object's key, for messages.
        block_bytes: About how much text is in work at once.

    Raises:
        PermanentError: The file is empty, corrupt, or not as the contract needs it.
        ConfigurationError: The declared encoding does not exist.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        fmt: Format,
        contract: Contract,
        *,
        where: str,
        block_bytes: int,
    ) -> None:
        self._where = where
        self._drop_blank = fmt.drop_blank_rows
        self._block_bytes = block_bytes
        head, plain = _peek(_decompress(chunks, where), 4)
        self.encoding = dialect.encoding_of(head, fmt)
        sample, text = _peek(_to_utf8(plain, self.encoding, where), dialect.SAMPLE_BYTES)
        try:
            self.dialect = dialect.sniff(sample, fmt, contract, where=where)
        except InvalidUtf8Error:
            raise wrong_encoding(where, self.encoding) from None
        self._text = _skip(text, self.dialect.preamble_bytes)
        self._wanted = contract.origins()

    def batches(self) -> Iterator[Batch]:
        """All records, in file order.

        Raises:
            PermanentError: The file is corrupt, not in its encoding, or without records.
        """
        read = 0
        for group in self.groups():
            batch = self.parse(group)
            read += batch.read
            yield batch
        self.end(read)

    def groups(self) -> Iterator[Group]:
        """All records still as bytes, in file order, in pieces fit for a batch.

        Raises:
            PermanentError: The file is corrupt or not in its encoding.
        """
        first = 1
        small = blocks(self._text, self.dialect.grammar, self._block_bytes)
        with self._right_encoding():
            for group in _grouped(small, self._block_bytes * 3 // 4):
                yield Group(first, group)
                first += sum(block.records for block in group)

    def parse(self, group: Group) -> Batch:
        """The records of a group; may be called in any thread.

        Raises:
            PermanentError: They are not in the file's encoding.
        """
        places = accumulate((block.records for block in group.blocks), initial=group.first)
        numbered = list(zip(places, group.blocks, strict=False))
        with self._right_encoding():
            together, rejects = self._frames(numbered)
        if self._drop_blank:
            rejects = rejects.filter(pl.col("code") != RowCode.ROW_BLANK.value)
        return Batch(together, rejects, together.height + rejects.height)

    def end(self, read: int) -> None:
        """Raise a PermanentError if nothing was read."""
        if read == 0:
            raise dialect.empty(self._where)

    @contextmanager
    def _right_encoding(self) -> Iterator[None]:
        try:
            yield
        except InvalidUtf8Error:
            raise wrong_encoding(self._where, self.encoding) from None

    def _frames(
        self, numbered: list[tuple[int, RegularBlock | ParsedBlock]]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        regular = [(at, block) for at, block in numbered if isinstance(block, RegularBlock)]
        frame = _regular_frame(regular, self.dialect, self._wanted)
        if frame is None or _has_blank(frame):
            # Regular by its bytes, and still not that simple: not UTF-8, or a row without anything
            # in it, which takes a look at the unread columns too.
            parsed = [(at, self._parsed(block)) for at, block in numbered]
            return _parsed_frame(parsed, self.dialect, self._wanted)
        parsed = [(at, block) for at, block in numbered if isinstance(block, ParsedBlock)]
        rows, rejects = _parsed_frame(parsed, self.dialect, self._wanted)
        return (pl.concat([frame, rows]).sort(ROW_NUMBER) if rows.height else frame), rejects

    def _parsed(self, block: RegularBlock | ParsedBlock) -> ParsedBlock:
        if isinstance(block, ParsedBlock):
            return block
        return records.parse(block.data, self.dialect.grammar, final=True)[0]


def _grouped(
    small: Iterator[RegularBlock | ParsedBlock], size_bytes: int
) -> Iterator[list[RegularBlock | ParsedBlock]]:
    """Neighbours together, until there is enough for a batch."""
    group: list[RegularBlock | ParsedBlock] = []
    size = 0
    for block in small:
        group.append(block)
        size += len(block.data) if isinstance(block, RegularBlock) else _ROW_BYTES * block.records
        if size >= size_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group


def _has_blank(frame: pl.DataFrame) -> bool:
    columns = pl.exclude(ROW_NUMBER).str.strip_chars()
    blank = frame.select(pl.all_horizontal(columns.is_null() | (columns == "")))
    return bool(blank.to_series().any())


def formats_to_try(fmt: Format) -> list[Format]:
    """How a file may be written, the likelier first; the next counts if the encoding is wrong.

    Each is a reading from the start: a file is in one encoding or in the other.
    """
    if fmt.encoding or not fmt.fallback_encoding:
        return [fmt]
    return [fmt, fmt.model_copy(update={"encoding": fmt.fallback_encoding})]


def wrong_encoding(where: str, encoding: str) -> PermanentError:
    """The file is not in the encoding it was taken to be in."""
    return PermanentError(
        f"the file is not valid {encoding}",
        where=where,
        mend="Name format.encoding, or format.fallbackEncoding for files of mixed origin.",
        code=FileCode.ENCODING,
    )


def _peek(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes or more, and all chunks as if nothing had been taken."""
    taken: list[bytes] = []
    while sum(map(len, taken)) < size and (chunk := next(chunks, None)) is not None:
        taken.append(chunk)
    return b"".join(taken), chain(taken, chunks)


def _skip(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        if size < len(chunk):
            yield chunk[size:]
        size = max(0, size - len(chunk))


def _decompress(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    head, chunks = _peek(chunks, 2)
    if not head.startswith(dialect.GZIP_MAGIC):
        yield from chunks
        return
    try:
        yield from _gunzip(chunks)
    except (zlib.error, EOFError):
        raise PermanentError(
            "the gzip data is damaged or cut off",
            where=where,
            mend="Send the file again; the untouched original lies in quarantine.",
            code=FileCode.COMPRESSION,
        ) from None


def _gunzip(chunks: Iterator[bytes], piece: int = 1024 * 1024) -> Iterator[bytes]:
    """Members one after the other, in pieces, so that a bomb fills no memory."""
    member = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        data = chunk
        while data:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            yield member.decompress(data, piece)
            data = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise EOFError


def _to_utf8(chunks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    if encoding == "utf-8":
        # Passed on as it is: whoever makes text of it checks it.
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise wrong_encoding(where, encoding) from None


def _regular_frame(
    regular: list[tuple[int, RegularBlock]], found: dialect.Dialect, wanted: tuple[str, ...]
) -> pl.DataFrame | None:
    """The blocks as one frame, or None where polars will not take them as they are."""
    if not regular:
        return pl.DataFrame(schema={ROW_NUMBER: pl.Int64(), **dict.fromkeys(wanted, pl.String())})
    data = b"".join(block.data for _, block in regular)
    if data.startswith(_MISTAKABLE):
        return None
    names = _unique_names(found.columns, wanted)
    try:
        frame = pl.read_csv(
            data,
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
            columns=[found.columns.index(name) for name in wanted],
            separator=found.grammar.delimiter,
            quote_char=found.grammar.quote,
            eol_char=found.grammar.eol,
        )
    except pl.exceptions.PolarsError:
        # Its text quotes the file. Whatever it is, the record-by-record way names it.
        return None
    ranges = [pl.int_range(at, at + block.records, eager=True) for at, block in regular]
    numbers = pl.concat(ranges).alias(ROW_NUMBER)
    if frame.height != numbers.len():
        return None
    return frame.select(wanted).insert_column(0, numbers)


def _unique_names(columns: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    # A column that nobody reads may have any name, or none, or another's.
    return [name if name in wanted else f"__unread_{i}__" for i, name in enumerate(columns)]


def _parsed_frame(
    parsed: list[tuple[int, ParsedBlock]], found: dialect.Dialect, wanted: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows and rejects of blocks, each with the number of its first record."""
    rows = [cells for _, block in parsed for cells in block.rows]
    numbers = [at + place for at, block in parsed for place in block.row_numbers]
    broken = [(at + place, code) for at, block in parsed for place, code in block.broken]
    places = [found.columns.index(name) for name in wanted]
    data = {
        ROW_NUMBER: numbers,
        **{
            name: [cells[place] for cells in rows]
            for name, place in zip(wanted, places, strict=True)
        },
    }
    schema = {ROW_NUMBER: pl.Int64(), **dict.fromkeys(wanted, pl.String())}
    return pl.DataFrame(data, schema=schema), reject_frame(broken)


def reject_frame(rejects: list[tuple[int, RowCode]]) -> pl.DataFrame:
    """Row numbers and codes as a frame of REJECT_SCHEMA."""
    columns = {
        "row_number": [number for number, _ in rejects],
        "field": [code.field for _, code in rejects],
        "code": [code.value for _, code in rejects],
    }
    return pl.DataFrame(columns, schema=REJECT_SCHEMA)
