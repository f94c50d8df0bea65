"""Stage 1: the bytes of an object become batches of text columns with row numbers.

Every column is read as text: type inference loses leading zeros and gives up on one odd cell late
in a file. Memory is a small multiple of the block size, whatever the size of the object.
"""

import codecs
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

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
_BOM = codecs.BOM_UTF8


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
        self.dialect = dialect.sniff(sample, fmt, contract, where=where)
        self._text = _skip(text, self.dialect.preamble_bytes)
        self._wanted = contract.origins()

    def batches(self) -> Iterator[Batch]:
        """All records, in file order.

        Raises:
            PermanentError: The file is corrupt, or not in its encoding.
        """
        first = 1
        try:
            for block in blocks(self._text, self.dialect.grammar, self._block_bytes):
                yield self._batch(block, first)
                first += block.records
        except InvalidUtf8Error:
            raise wrong_encoding(self._where, self.encoding) from None

    def _batch(self, block: RegularBlock | ParsedBlock, first: int) -> Batch:
        parsed = block
        if isinstance(parsed, RegularBlock):
            frame = _regular_frame(parsed, self.dialect, self._wanted, first)
            if frame is not None:
                return self._without_blank(frame, pl.DataFrame(schema=REJECT_SCHEMA))
            # Regular by its bytes, and still refused: too long a row beside too short a one.
            parsed, _ = records.parse(parsed.data, self.dialect.grammar, final=True)
        frame, rejects = _parsed_frame(parsed, self.dialect, self._wanted, first)
        return self._without_blank(frame, rejects)

    def _without_blank(self, frame: pl.DataFrame, rejects: pl.DataFrame) -> Batch:
        columns = pl.exclude(ROW_NUMBER).str.strip_chars()
        blank = frame.select(pl.all_horizontal(columns.is_null() | (columns == ""))).to_series()
        if blank.any():
            if not self._drop_blank:
                numbers = frame.filter(blank)[ROW_NUMBER]
                rejects = pl.concat([rejects, reject_frame(numbers.to_list(), RowCode.ROW_BLANK)])
            frame = frame.filter(~blank)
        if self._drop_blank:
            rejects = rejects.filter(pl.col("code") != RowCode.ROW_BLANK.value)
        return Batch(frame, rejects, frame.height + rejects.height)


def reject_frame(row_numbers: list[int], code: RowCode) -> pl.DataFrame:
    """Rejects of one code."""
    columns = {"row_number": row_numbers, "field": code.field, "code": code.value}
    return pl.DataFrame(columns, schema=REJECT_SCHEMA)


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
    block: RegularBlock, found: dialect.Dialect, wanted: tuple[str, ...], first: int
) -> pl.DataFrame | None:
    """The block as a frame, or None where polars will not take it as it is."""
    if block.data.startswith(_BOM):
        return None
    names = _unique_names(found.columns, wanted)
    try:
        frame = pl.read_csv(
            block.data,
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
    return _numbered(frame.select(wanted), first) if frame.height == block.records else None


def _unique_names(columns: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    # A column that nobody reads may have any name, or none, or another's.
    return [name if name in wanted else f"__unread_{i}__" for i, name in enumerate(columns)]


def _parsed_frame(
    block: ParsedBlock, found: dialect.Dialect, wanted: tuple[str, ...], first: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    places = [found.columns.index(name) for name in wanted]
    data = {
        name: [cells[place] for cells in block.rows]
        for name, place in zip(wanted, places, strict=True)
    }
    numbers = pl.Series(ROW_NUMBER, block.row_numbers, dtype=pl.Int64) + first
    frame = pl.DataFrame(data, schema=dict.fromkeys(wanted, pl.String)).insert_column(0, numbers)
    rejects = {
        "row_number": [first + place for place, _ in block.broken],
        "field": [code.field for _, code in block.broken],
        "code": [code.value for _, code in block.broken],
    }
    return frame, pl.DataFrame(rejects, schema=REJECT_SCHEMA)


def _numbered(frame: pl.DataFrame, first: int) -> pl.DataFrame:
    return frame.with_row_index(ROW_NUMBER, offset=first).with_columns(
        pl.col(ROW_NUMBER).cast(pl.Int64)
    )
