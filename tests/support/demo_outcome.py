"""A demo's outcome made by hand: everything in order, with a few numbers to look for."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

from sales_api.report import Fate, Rows
from sales_pipeline.demo.figures import Audit, Category, Figures, Month, Product
from sales_pipeline.demo.outcome import Outcome
from sales_pipeline.errors import PermanentError
from sales_pipeline.generate import GeneratedFile, GenerateSpec
from sales_pipeline.generate_errors import ErrorKind
from sales_pipeline.run import Result

BAD = {ErrorKind.BAD_EMAIL: 3, ErrorKind.STRAY_QUOTE: 1}
CODES = {"customer_email.format": 6, "row.malformed": 2}
CUT_OFF = PermanentError(
    "the gzip data is damaged or cut off",
    where="raw/broke.csv.gz",
    mend="Send it again.",
    code="file.compression",
)
FIGURES = Figures(
    categories=(
        Category("Laptops", Decimal("9000.50"), 9, Decimal("700.25")),
        Category("TV & Display", Decimal("1000.00"), 4, Decimal("-50.00")),
    ),
    months=(
        Month(2024, 11, Decimal("4000.00"), Decimal("-150.00")),
        Month(2024, 12, Decimal("6000.50"), Decimal("800.25")),
    ),
    products=(
        Product('14" <b>Notebook</b>', "Laptops", Decimal("9000.50"), 9),
        Product("OLED TV", "TV & Display", Decimal("1000.00"), 4),
    ),
    codes=CODES,
    audit=Audit(facts=1992, customers=400, products=2, rejected=8, orphans=0, legible=0),
)
EMPTY = Figures((), (), (), {}, Audit(0, 0, 0, 0, 0, 0))


def generated(index: int) -> GeneratedFile:
    return GeneratedFile(f"sales-{index}.csv", 1000, BAD, 200_000, "AB00000000", "AB00000999")


def loaded(index: int) -> Result:
    rows = Rows(read=1000, loaded=996, rejected=4)
    return Result(f"raw/sales-{index}.csv", Fate.LOADED, rows, Counter(), seconds=0.25)


def outcome(**changes) -> Outcome:
    """Two files of 1000 rows, 8 of them bad, and whatever shall be otherwise."""
    given = {
        "spec": GenerateSpec(rows=1000, files=2, error_rate=0.004),
        "generated": (generated(1), generated(2)),
        "sales": (loaded(1), loaded(2)),
        "cut_off": Result("raw/broke.csv.gz", Fate.QUARANTINED, error=CUT_OFF, seconds=0.01),
        "again": Result("raw/sales-1.csv", Fate.ALREADY_LOADED, seconds=0.01),
        "has_reason": True,
        "waiting": 0,
        "figures": FIGURES,
        "started_at": datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
        "seconds": 3.21,
    }
    return Outcome(**given | changes)
