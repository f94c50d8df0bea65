"""The dry run: what would become of a file, without a database and without moving anything."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sales_api.v1alpha1 import ColumnMapping, Processing
from sales_pipeline.codes import FileCode
from sales_pipeline.dialect import Dialect
from sales_pipeline.errors import ConfigurationError, PermanentError
from sales_pipeline.gate import breach
from sales_pipeline.mapping import to_record
from sales_pipeline.read import Reader, formats_to_try
from sales_pipeline.validate import validate

_EXAMPLES = 3


@dataclass
class Findings:
    """What is found out about one file."""

    name: str
    dialect: Dialect | None = None
    encoding: str | None = None
    read: int = 0
    accepted: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[int]] = field(default_factory=dict)
    """Row numbers of the first rejects of each code; never their values."""
    error: PermanentError | None = None
    """Why the file as a whole would be refused."""


def check(name: str, chunks: Iterator[bytes], how: Processing, block_bytes: int) -> Findings:
    """Read and validate a file to its end."""
    found = Findings(name)
    try:
        _examine(found, chunks, how, block_bytes)
    except PermanentError as error:
        found.error = error
    return found


def check_encodings(
    name: str, open_file: Callable[[], Iterator[bytes]], how: Processing, block_bytes: int
) -> Findings:
    """As `check`, trying the fallback encoding where the first does not fit."""
    found = Findings(name)
    for fmt in formats_to_try(how.format):
        found = check(name, open_file(), how.model_copy(update={"format": fmt}), block_bytes)
        if not found.error or found.error.code != FileCode.ENCODING:
            break
    return found


class Opener:
    """Opens a local file from its start, as often as asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, piece: int = 1024 * 1024) -> Iterator[bytes]:
        """The file's bytes.

        Raises:
            ConfigurationError: It cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                while chunk := file.read(piece):
                    yield chunk
        except OSError as error:
            raise ConfigurationError(
                f"the file cannot be read ({error.strerror})",
                where=str(self._path),
                mend="Name a file that exists and may be read.",
                code="check.unreadable",
            ) from None


def _examine(found: Findings, chunks: Iterator[bytes], how: Processing, block_bytes: int) -> None:
    reader = Reader(chunks, how.format, how.contract, where=found.name, block_bytes=block_bytes)
    found.dialect, found.encoding = reader.dialect, reader.encoding
    for batch in reader.batches():
        records = to_record(batch.frame, how.contract, how.format.null_values)
        verdict = validate(records, how.contract)
        found.read += batch.read
        found.accepted += verdict.accepted.height
        for rejects in (batch.rejects, verdict.rejects):
            for number, _, code in rejects.iter_rows():
                found.codes[code] += 1
                if found.codes[code] <= _EXAMPLES:
                    found.examples.setdefault(code, []).append(number)
    found.error = breach(how.quality, found.read, found.read - found.accepted, where=found.name)


def show(console: Console, found: Findings, how: Processing) -> None:
    """Tell a person what was found."""
    console.rule(escape(found.name), align="left")
    if found.dialect:
        grammar = found.dialect.grammar
        console.print(
            f"dialect   {found.encoding}, delimiter {escape(repr(grammar.delimiter))}, "
            f"quote {grammar.quote}, line end {escape(repr(grammar.eol))}, {grammar.width} columns"
        )
        console.print(_mapping(how))
        rejected = found.read - found.accepted
        console.print(
            f"rows      {found.read:,} = {found.accepted:,} accepted + {rejected:,} rejected"
        )
    if found.codes:
        console.print(_codes(found))
    if found.error:
        console.print(f"[bold]would be quarantined[/]: {escape(str(found.error))}", soft_wrap=True)


def _mapping(how: Processing) -> Table:
    table = Table("column", "comes from", box=None, pad_edge=False)
    for target in how.contract.targets():
        table.add_row(target, escape(_origin(how.contract.mapping(target))))
    if how.contract.customer_key:
        table.add_row("(customer)", escape(" + ".join(how.contract.customer_key)))
    return table


def _origin(mapping: ColumnMapping) -> str:
    if mapping.constant is not None:
        return f"constant {mapping.constant!r}"
    if mapping.hash_of:
        return f"key made of {', '.join(mapping.hash_of)}"
    return " + ".join(mapping.origins())


def _codes(found: Findings) -> Table:
    table = Table("rejected because", box=None, pad_edge=False)
    table.add_column("times", justify="right")
    table.add_column("first rows")
    for code, times in found.codes.most_common():
        table.add_row(code, f"{times:,}", ", ".join(map(str, found.examples[code])))
    return table
