"""Stage 2: every row of text becomes an accepted record or a reject with codes. Pure."""

from dataclasses import dataclass

import polars as pl

from sales_api.v1alpha1 import Contract
from sales_pipeline.codes import RowCode
from sales_pipeline.read import reject_frame
from sales_pipeline.rules import accepted as surely_accepted
from sales_pipeline.schema import SalesRecord, check


@dataclass(frozen=True)
class Verdict:
    """The two fates of the rows of a batch."""

    accepted: pl.DataFrame
    """`row_number` and the contract's target columns, as text in canonical spelling."""
    rejected: pl.DataFrame
    """The same columns of the other rows, as they came."""
    rejects: pl.DataFrame
    """Why: `row_number`, `field`, `code`; one line for each thing that is wrong with a row."""


def validate(records: pl.DataFrame, contract: Contract) -> Verdict:
    """Judge the rows of a batch.

    Args:
        records: `row_number` and the contract's target columns, as stripped text.
        contract: Whose rules apply.
    """
    columns = [name for name in records.columns if name != "row_number"]
    sure = records.select(surely_accepted(columns, contract.rules).fill_null(value=False))
    fast = records.filter(sure.to_series())
    doubtful = records.filter(~sure.to_series())
    slow, rejects = _judge(doubtful, contract)
    wrong = pl.Series(sorted({number for number, _ in rejects}), dtype=pl.Int64)
    rejected = doubtful.filter(pl.col("row_number").is_in(wrong.implode()))
    together = fast if slow.is_empty() else pl.concat([fast, slow]).sort("row_number")
    return Verdict(together, rejected, reject_frame(rejects))


def _judge(
    doubtful: pl.DataFrame, contract: Contract
) -> tuple[pl.DataFrame, list[tuple[int, RowCode]]]:
    """Put rows through the model one by one."""
    good: list[dict[str, object]] = []
    rejects: list[tuple[int, RowCode]] = []
    for row in doubtful.iter_rows(named=True):
        number = row.pop("row_number")
        verdict = check(row, contract.rules)
        if isinstance(verdict, SalesRecord):
            spelled = verdict.to_text()
            good.append({"row_number": number, **{name: spelled[name] for name in row}})
        else:
            rejects += [(number, code) for code in verdict]
    return pl.DataFrame(good, schema=doubtful.schema), rejects
