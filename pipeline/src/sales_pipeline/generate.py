"""Sales files to order: any number of rows, any share of bad ones, the same bytes each time.

The demo, the tests and the benchmarks need files whose contents are known without reading them:
how many rows, how many bad ones, bad in what way. A file comes as chunks, never as a whole, so
that five gigabytes take no more memory than fifty megabytes.

    spec = GenerateSpec(rows=1_000, files=3, error_rate=0.02)
    for index in range(spec.files):
        made = write_file(spec, index, folder / file_name(spec, index))
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sales_api.names import RECORD_COLUMNS
from sales_pipeline.errors import ConfigurationError
from sales_pipeline.generate_errors import ErrorKind, as_csv, count_errors, with_errors
from sales_pipeline.generate_rows import MAX_ORDERS, Population, good_rows, order_id

CHUNK_ROWS = 16_384
"""About 3 MB of text: large enough to run at full speed, small enough to hold a few of."""

_SAMPLE_ROWS = 20_000
_ROUGH_ROW_BYTES = 220
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class GenerateSpec:
    """A set of files; every order in it is different, whatever the number of files.

    Args:
        rows: Rows of each file, the header not counted.
        files: Files of the set.
        error_rate: About this share of the rows, 0 to 1, is bad; each in one way.
        seed: What the orders are drawn from; customers and articles are the same for all seeds.
        rows_per_customer: So many orders a customer has on average, over the whole set.
        start_row: Rows to leave out before the first, to add to a set made earlier.
        error_kinds: The ways in which rows are bad.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    rows: int
    files: int = 1
    error_rate: float = 0.0
    seed: int = 1
    rows_per_customer: int = 5
    start_row: int = 0
    error_kinds: tuple[ErrorKind, ...] = tuple(ErrorKind)

    def __post_init__(self) -> None:
        _require("--rows", holds=self.rows >= 1, range_="1 or more")
        _require("--files", holds=self.files >= 1, range_="1 or more")
        _require("--error-rate", holds=0 <= self.error_rate <= 1, range_="between 0 and 1")
        _require("--seed", holds=0 <= self.seed <= _MAX_SEED, range_=f"0 to {_MAX_SEED}")
        _require("--rows-per-customer", holds=self.rows_per_customer >= 1, range_="1 or more")
        _require("--start-row", holds=self.start_row >= 0, range_="0 or more")
        _require("--error-kinds", holds=bool(self.error_kinds), range_="one kind or more")
        room = self.stop_row <= MAX_ORDERS
        _require("--rows", holds=room, range_=f"such that a set ends before row {MAX_ORDERS}")

    @property
    def stop_row(self) -> int:
        """The number after that of the last row of the set."""
        return self.start_row + self.rows * self.files

    @property
    def population(self) -> Population:
        """What the rows are drawn from: in a larger set, an order is of another customer."""
        return Population(self.seed, max(1, self.stop_row // self.rows_per_customer))

    def file_rows(self, file_index: int) -> range:
        """The numbers of a file's rows in the set; files are counted from 0.

        Raises:
            ConfigurationError: The set has no such file.
        """
        holds = 0 <= file_index < self.files
        _require("file index", holds=holds, range_="0 or more, and less than the number of files")
        first = self.start_row + file_index * self.rows
        return range(first, first + self.rows)


@dataclass
class Tally:
    """What has gone into a file so far; `iter_csv` counts while it is being read."""

    rows: int = 0
    size_bytes: int = 0
    errors: Counter[ErrorKind] = field(default_factory=Counter)


@dataclass(frozen=True)
class GeneratedFile:
    """A finished file, and all there is to hold against what a reader makes of it."""

    name: str
    rows: int
    by_kind: Mapping[ErrorKind, int]
    size_bytes: int
    first_order_id: str
    last_order_id: str

    @property
    def bad_rows(self) -> int:
        """Rows that must be rejected."""
        return sum(self.by_kind.values())

    @property
    def good_rows(self) -> int:
        """Rows that must be accepted."""
        return self.rows - self.bad_rows


class ChunkReader:
    """Chunks of bytes as a file to read from, for an upload that wants one.

    `read(n)` gives n bytes unless the end is reached: an uploader takes less for the end.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes: `size` of them, or all for none or a negative one."""
        pieces: list[memoryview] = []
        wanted = size if size is not None and size >= 0 else None
        while wanted != 0 and self._refill():
            piece = self._rest[:wanted]
            self._rest = self._rest[len(piece) :]
            wanted = None if wanted is None else wanted - len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _refill(self) -> bool:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._rest = memoryview(chunk)
        return True


def file_name(spec: GenerateSpec, file_index: int) -> str:
    """The file's name: counted on from the rows left out, so that an added set has new names."""
    return f"sales-{spec.file_rows(file_index).start // spec.rows + 1:05d}.csv"


def iter_csv(spec: GenerateSpec, file_index: int, tally: Tally) -> Iterator[bytes]:
    """The file's bytes in chunks of whole records, the header first; `tally` grows with them.

    Raises:
        ConfigurationError: The set has no such file.
    """
    rows = spec.file_rows(file_index)
    header = (",".join(RECORD_COLUMNS) + "\n").encode()
    tally.size_bytes += len(header)
    yield header
    for first in rows[::CHUNK_ROWS]:
        yield _chunk(spec, first, min(first + CHUNK_ROWS, rows.stop), tally)


def generated_file(spec: GenerateSpec, file_index: int, tally: Tally) -> GeneratedFile:
    """The record of a file whose chunks were all taken from `iter_csv` with this tally."""
    rows = spec.file_rows(file_index)
    return GeneratedFile(
        name=file_name(spec, file_index),
        rows=tally.rows,
        by_kind={kind: tally.errors[kind] for kind in ErrorKind if tally.errors[kind]},
        size_bytes=tally.size_bytes,
        first_order_id=order_id(spec.seed, rows[0]),
        last_order_id=order_id(spec.seed, rows[-1]),
    )


def write_file(spec: GenerateSpec, file_index: int, path: Path) -> GeneratedFile:
    """Write one file; it takes its name only once whole, so that no watcher reads half of it."""
    tally = Tally()
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        out.writelines(iter_csv(spec, file_index, tally))
    part.replace(path)
    return generated_file(spec, file_index, tally)


def rows_for_size(size_bytes: int, seed: int = 1) -> int:
    """So many rows make a file of about that size, within about 1 %: measured on a sample."""
    rough = min(MAX_ORDERS, max(_SAMPLE_ROWS, size_bytes // _ROUGH_ROW_BYTES))
    sample = Tally()
    _chunk(GenerateSpec(rows=rough, seed=seed), 0, _SAMPLE_ROWS, sample)
    return max(1, size_bytes * sample.rows // sample.size_bytes)


def _chunk(spec: GenerateSpec, first: int, stop: int, tally: Tally) -> bytes:
    good = good_rows(first, stop, spec.population)
    rows = with_errors(good, spec.error_rate, spec.error_kinds, spec.seed)
    chunk = as_csv(rows)
    tally.rows += rows.height
    tally.size_bytes += len(chunk)
    tally.errors.update(count_errors(rows))
    return chunk


def _require(name: str, *, holds: bool, range_: str) -> None:
    if not holds:
        raise ConfigurationError(
            "the number is out of its range",
            where=f"generate, {name}",
            mend=f"It must be {range_}.",
            code="generate.range",
        )
