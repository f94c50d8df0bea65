"""The parts of a SalesIngest spec that say how a file becomes records.

Every list and text is bounded, so that a spec fits a resource and a request fits a Job.
Unions and recursion are avoided: these models become a structural CRD schema.
"""

import fnmatch
import hashlib
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from sales_api.model import Model
from sales_api.names import ORDER_LINE, RECORD_COLUMNS

Text = Annotated[str, StringConstraints(max_length=255)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
DecimalText = Annotated[
    str, StringConstraints(max_length=17, pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$")
]
FactorText = Annotated[
    str, StringConstraints(max_length=10, pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$")
]
RatioText = Annotated[
    str, StringConstraints(max_length=8, pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$")
]
Separator = Annotated[
    str, StringConstraints(min_length=1, max_length=1, pattern=r"^[\t\x20-\x7e]$")
]
"""One printable ASCII character or the tab: a separator is looked for in bytes."""

Globs = Annotated[list[Text], Field(max_length=32)]
Names = Annotated[list[ColumnName], Field(max_length=256)]
NullWords = Annotated[list[Text], Field(max_length=32)]


class UnknownColumns(StrEnum):
    """What to do about a column that the contract does not name."""

    REFUSE = "Refuse"
    IGNORE = "Ignore"


class OnBreach(StrEnum):
    """What to do about an object that breaks the quality gate."""

    FAIL_FILE = "FailFile"
    LOAD_AND_WARN = "LoadAndWarn"


class CustomerName(StrEnum):
    """What the warehouse keeps of a customer's name."""

    INITIALS = "Initials"
    KEEP = "Keep"
    DROP = "Drop"


class EmailPseudonym(StrEnum):
    """How an e-mail address becomes a pseudonym."""

    HMAC_SHA256 = "HmacSha256"
    SHA256 = "Sha256"


class Source(Model):
    """Where objects are found, and where they go."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)]
    """Name of the bucket; it cannot be changed later."""
    prefix: Key = "raw/"
    """Objects wait below this prefix; it ends in `/` and cannot be changed later."""
    quarantine_prefix: Key = "quarantine/"
    """Refused objects go below this one, and so do masked rejected rows."""
    processed_prefix: Key = "processed/"
    """Loaded objects go below this one, untouched."""
    include: Globs = ["*.csv", "*.csv.gz"]
    """Shell patterns on the key below the prefix; `*` also spans `/`."""
    exclude: Globs = []
    """Shell patterns likewise, of objects to leave alone; stronger than `include`."""
    settle_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    """How long an object must have lain untouched before it is read."""

    @model_validator(mode="after")
    def _prefixes_lie_apart(self) -> Self:
        prefixes = (self.prefix, self.quarantine_prefix, self.processed_prefix)
        nested = any(a.startswith(b) for a in prefixes for b in prefixes if a is not b) or len(
            set(prefixes)
        ) < len(prefixes)
        if nested or not all(p.endswith("/") for p in prefixes):
            raise ValueError("the three prefixes must end in / and not contain one another")
        return self

    def wants(self, key: str) -> bool:
        """Whether prefix and patterns let an object's key in; exclude is stronger than include."""
        name = key.removeprefix(self.prefix)

        def matches(patterns: list[str]) -> bool:
            return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

        return key.startswith(self.prefix) and matches(self.include) and not matches(self.exclude)


class Format(Model):
    """How the bytes of an object become rows of text. What is left out is sniffed."""

    delimiter: Separator | None = None
    """What parts the columns: one printable ASCII character or a tab; left out: of comma,
    semicolon, tab and bar the one that gives the needed columns."""
    quote: Separator = '"'
    """What encloses a field that holds delimiters or line ends; doubled inside the field."""
    encoding: Text | None = None
    """What a file without a BOM is in, or fails; left out: UTF-8. A BOM always decides."""
    fallback_encoding: Text | None = None
    """Tried where no encoding is named and the file is not UTF-8; left out: such a file fails."""
    header: bool = True
    """Whether the first line names the columns; `false` goes with `headerNames`."""
    header_names: Names = []
    """Names of the columns of a file that has no header line (with `header: false`)."""
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    """Lines of preamble before the header."""
    null_values: NullWords = []
    """Words that mean "no value" in every column."""
    drop_blank_rows: bool = False
    """Pass over rows that hold nothing but delimiters, instead of rejecting them."""

    @model_validator(mode="after")
    def _names_without_header(self) -> Self:
        if self.header == bool(self.header_names):
            raise ValueError("headerNames goes with header: false, and the other way round")
        return self

    @model_validator(mode="after")
    def _separators_differ(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote must differ")
        return self


class Number(Model):
    """How a number is written where it is not plain `1234.56`."""

    decimal: Literal[".", ","] = "."
    """The decimal sign."""
    thousands: Literal["", ",", ".", " ", "'"] = ""
    """What parts groups of three digits; empty: nothing does."""
    strip: Annotated[list[Text], Field(max_length=8)] = []
    """Words to remove at either end, such as `USD`; currency signs and `%` always are."""

    @model_validator(mode="after")
    def _separators_differ(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands must differ")
        return self


class Rescale(Model):
    """Maps one range of numbers onto another linearly, rounded half-up to `decimals`."""

    from_min: DecimalText
    """The least value in the file, as text such as "0"."""
    from_max: DecimalText
    """The greatest value in the file; more than `fromMin`."""
    to_min: DecimalText
    """What the least value becomes."""
    to_max: DecimalText
    """What the greatest value becomes."""
    decimals: Annotated[int, Field(ge=0, le=4)] = 2
    """How many decimals are kept."""

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if Decimal(self.from_min) >= Decimal(self.from_max):
            raise ValueError("fromMin must be less than fromMax")
        return self


def _is_date_format(fmt: str) -> bool:
    """Whether a date written so is read as the same date."""
    example = datetime(2001, 2, 3, tzinfo=UTC)
    try:
        return datetime.strptime(example.strftime(fmt), fmt).date() == date(2001, 2, 3)  # noqa: DTZ007
    except (ValueError, re.error):
        return False


class ColumnMapping(Model):
    """How one column of the record comes out of the columns of the file.

    Exactly one origin, then the changes in the order of the fields.
    """

    source: ColumnName | None = Field(default=None, alias="from")
    """Take this column of the file."""
    constant: Text | None = None
    """The same text for every row."""
    concat: Names = []
    """Join these columns by `separator`; empty ones are left out."""
    hash_of: Names = []
    """A 10-character key made from these columns: the same values, the same key."""

    separator: Annotated[str, StringConstraints(max_length=8)] = " "
    """What stands between the columns that `concat` joins."""
    null_values: NullWords = []
    """More words that mean "no value", in this column alone."""
    default: Text | None = None
    """Used where there is no value."""
    number: Number | None = None
    """How its numbers are written; left out: plain, such as 1234.56."""
    date_formats: Annotated[list[Text], Field(max_length=8)] = []
    """strptime formats, tried in order; left out: ISO 8601 dates."""
    rescale: Rescale | None = None
    """Map a range of numbers onto another, such as ratings from 0 to 10 onto 1 to 5."""
    zero_pad: Annotated[int, Field(ge=1, le=255)] | None = None
    """Fill up with zeros from the left to this length."""
    truncate: Annotated[int, Field(ge=1, le=500)] | None = None
    """Cut to this length."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        origins = [self.source is not None, self.constant is not None]
        if sum([*origins, bool(self.concat), bool(self.hash_of)]) != 1:
            raise ValueError("exactly one of from, constant, concat and hashOf is needed")
        return self

    @model_validator(mode="after")
    def _formats_are_of_dates(self) -> Self:
        if not all(map(_is_date_format, self.date_formats)):
            raise ValueError("each of dateFormats must be a strptime format of a whole date")
        return self

    def origins(self) -> tuple[str, ...]:
        """The columns of the file that this mapping reads."""
        return (*([self.source] if self.source else []), *self.concat, *self.hash_of)


class Rules(Model):
    """Switches over and above the rules of the record."""

    delivery_not_before_order: bool = False
    """Reject rows whose delivery lies before their order."""


TargetColumn = Literal[
    "order_id", "order_line", "customer_name", "customer_email", "customer_phone",
    "customer_address", "product_title", "product_rating", "discounted_price",
    "original_price", "discount_percentage", "is_best_seller", "delivery_date",
    "data_collected_at", "order_date", "product_category", "quantity",
]  # fmt: skip


class Contract(Model):
    """How the columns of a file become the columns of the record."""

    columns: Annotated[dict[TargetColumn, ColumnMapping], Field(max_length=17)] = {}
    """A column that is not named here is taken from the file's column of the same name."""
    customer_key: Annotated[list[ColumnName], Field(max_length=8)] = []
    """Columns of the file that identify a customer where the file has no e-mail address."""
    unknown_columns: UnknownColumns = UnknownColumns.REFUSE
    """What to do about columns of the file that nothing here reads: `Refuse` the whole file, or
    `Ignore` them."""
    rules: Rules = Rules()
    """Further rules that a row must keep."""
    cost_factor: FactorText = "0.6"
    """Cost as a share of the original price; profit = discounted price - factor x original."""

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if self.customer_key and "customer_email" in self.columns:
            raise ValueError("customerKey is for files without an e-mail: map only one of the two")
        return self

    @model_validator(mode="after")
    def _reads_the_file(self) -> Self:
        if not self.origins():
            raise ValueError("at least one column must come from the file")
        return self

    def targets(self) -> tuple[str, ...]:
        """The columns of the record that this contract fills, in their fixed order."""
        names = [c for c in RECORD_COLUMNS if c != "customer_email" or not self.customer_key]
        return (*names, ORDER_LINE) if ORDER_LINE in self.columns else tuple(names)

    def mapping(self, target: str) -> ColumnMapping:
        """The mapping of one target column; by default the file's column of the same name."""
        named = {str(name): mapping for name, mapping in self.columns.items()}
        return named.get(target) or ColumnMapping(source=target)

    def origins(self) -> tuple[str, ...]:
        """Every column of the file that the contract reads, each once, in a stable order."""
        of_targets = [name for t in self.targets() for name in self.mapping(t).origins()]
        return tuple(dict.fromkeys([*of_targets, *self.customer_key]))


class Quality(Model):
    """How many rejected rows an object may have before it is refused as a whole."""

    max_rejected_ratio: RatioText = "1"
    """The greatest share of rows that may be rejected, from "0" to "1"."""
    max_rejected_rows: Annotated[int, Field(ge=0, le=10**15)] | None = None
    """The greatest number of rows that may be rejected; left out: any."""
    on_breach: OnBreach = OnBreach.FAIL_FILE
    """What becomes of an object with more: `FailFile` refuses it as a whole, `LoadAndWarn` loads
    it and says so."""


class Privacy(Model):
    """What becomes of personal data."""

    customer_name: CustomerName = CustomerName.INITIALS
    """What is kept of names: `Initials`, all (`Keep`), or nothing (`Drop`)."""
    email: EmailPseudonym = EmailPseudonym.HMAC_SHA256
    """How addresses become pseudonyms: keyed (`HmacSha256`), or without a key (`Sha256`), which
    lists of addresses can give away and which is for compatibility only."""


class Processing(Model):
    """Everything that decides what rows an object turns into."""

    format: Format = Format()
    """How files are written; what is left out is found out."""
    contract: Contract = Contract()
    """How the columns of a file become the columns of the record."""
    quality: Quality = Quality()
    """How many rejected rows an object may have before it is refused as a whole."""
    privacy: Privacy = Privacy()
    """What becomes of personal data."""

    def digest(self) -> str:
        """16 hex characters, whatever was left to defaults and in whatever order it was named.

        Of these fields alone: a request is a Processing too, and its run, attempt and objects
        must not make another contract of it.
        """
        fields = self.model_dump(mode="json", include=set(Processing.model_fields))
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
