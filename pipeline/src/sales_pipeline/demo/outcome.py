"""What the demo delivered and what became of it, in one value that all the rest only reads."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sales_api.report import Fate, Rows
from sales_pipeline.codes import RowCode
from sales_pipeline.demo.figures import Figures
from sales_pipeline.generate import GeneratedFile, GenerateSpec
from sales_pipeline.generate_errors import ErrorKind
from sales_pipeline.run import Result
from sales_pipeline.summary import total_rows

CODES: dict[ErrorKind, RowCode] = {
    ErrorKind.BAD_EMAIL: RowCode.CUSTOMER_EMAIL_FORMAT,
    ErrorKind.SHORT_ORDER_ID: RowCode.ORDER_ID_LENGTH,
    ErrorKind.RATING_OUT_OF_RANGE: RowCode.PRODUCT_RATING_RANGE,
    ErrorKind.NEGATIVE_PRICE: RowCode.DISCOUNTED_PRICE_RANGE,
    ErrorKind.TOO_MANY_DECIMALS: RowCode.ORIGINAL_PRICE_SCALE,
    ErrorKind.DISCOUNT_OUT_OF_RANGE: RowCode.DISCOUNT_PERCENTAGE_RANGE,
    ErrorKind.BAD_BOOLEAN: RowCode.IS_BEST_SELLER_TYPE,
    ErrorKind.BAD_DATE: RowCode.ORDER_DATE_FORMAT,
    ErrorKind.MISSING_NAME: RowCode.CUSTOMER_NAME_MISSING,
    ErrorKind.ZERO_QUANTITY: RowCode.QUANTITY_RANGE,
    ErrorKind.BLANK_TITLE: RowCode.PRODUCT_TITLE_MISSING,
    ErrorKind.TOO_FEW_FIELDS: RowCode.ROW_TOO_FEW_FIELDS,
    ErrorKind.TOO_MANY_FIELDS: RowCode.ROW_TOO_MANY_FIELDS,
    ErrorKind.STRAY_QUOTE: RowCode.ROW_MALFORMED,
}
"""How the pipeline must name each way in which the generator breaks a row."""


@dataclass(frozen=True)
class Outcome:
    """What was delivered and what became of it, with nothing of it judged yet."""

    spec: GenerateSpec
    generated: tuple[GeneratedFile, ...]
    sales: tuple[Result, ...]
    """Of the generated files, in their order."""
    cut_off: Result
    """Of the file that is broken as a whole."""
    again: Result
    """Of the first file, delivered a second time."""
    has_reason: bool
    """Whether the broken file lies in quarantine with its reason beside it."""
    waiting: int
    """Objects that were left where they were delivered."""
    figures: Figures
    started_at: datetime
    seconds: float
    """From the first delivery to the last answer of the warehouse."""

    @property
    def results(self) -> tuple[Result, ...]:
        """Of all objects, in the order in which they are told."""
        return (*self.sales, self.cut_off, self.again)

    @property
    def rows(self) -> Rows:
        """The rows of all objects together."""
        return total_rows(self.results)

    @property
    def delivered(self) -> int:
        """Rows that were delivered; a second delivery brings no new ones."""
        return sum(file.rows for file in self.generated)

    @property
    def accounted(self) -> int:
        """Rows of which it is known what became of them."""
        return self.rows.loaded + self.rows.rejected + self.rows.deduplicated

    @property
    def rows_per_second(self) -> float:
        """How fast the sales files went from the bucket to the star and the archive."""
        return self.rows.read / max(sum(r.seconds for r in self.sales), 1e-9)

    @property
    def injected(self) -> Counter[str]:
        """How often each code must have been given: the generator's count, in our words."""
        counts: Counter[str] = Counter()
        for file in self.generated:
            counts.update({CODES[kind].value: times for kind, times in file.by_kind.items()})
        return counts


def remark(result: Result) -> str:
    """What is to be said of an object beyond its counts."""
    if result.fate is Fate.ALREADY_LOADED:
        return "The same content under the same key: archived, nothing loaded twice"
    return f"{result.error.what} [{result.error.code}]" if result.error else ""
