"""The quality gate: how many rejected rows an object may have. Pure."""

from decimal import Decimal

from sales_api.v1alpha1 import Quality
from sales_pipeline.codes import FileCode
from sales_pipeline.errors import PermanentError


def breach(quality: Quality, read: int, rejected: int, *, where: str) -> PermanentError | None:
    """What is wrong with these counts, or None. At the limit an object still passes."""
    ratio = Decimal(quality.max_rejected_ratio)
    if quality.max_rejected_rows is not None and rejected > quality.max_rejected_rows:
        limit = f"more than maxRejectedRows {quality.max_rejected_rows}"
    elif rejected > ratio * read:
        limit = f"more than maxRejectedRatio {ratio}"
    else:
        return None
    return PermanentError(
        f"{rejected} of {read} rows are rejected, {limit}",
        where=where,
        mend="Correct the rows listed in quarantine and send the file again, or widen quality.",
        code=FileCode.REJECTED_ROWS,
    )
