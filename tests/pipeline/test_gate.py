"""The quality gate: how many rejected rows an object may have."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.v1alpha1 import Quality
from sales_pipeline.codes import FileCode
from sales_pipeline.gate import breach


@pytest.mark.parametrize(
    ("quality", "read", "rejected", "says"),
    [
        ({}, 10, 10, None),
        ({}, 0, 0, None),
        ({"max_rejected_ratio": "0"}, 10, 0, None),
        ({"max_rejected_ratio": "0"}, 10, 1, "maxRejectedRatio 0"),
        ({"max_rejected_ratio": "0.1"}, 10, 1, None),
        ({"max_rejected_ratio": "0.1"}, 9, 1, "maxRejectedRatio 0.1"),
        ({"max_rejected_ratio": "0.333333"}, 3, 1, "maxRejectedRatio"),
        ({"max_rejected_ratio": "0.333334"}, 3, 1, None),
        ({"max_rejected_rows": 2}, 10, 2, None),
        ({"max_rejected_rows": 2}, 10, 3, "maxRejectedRows 2"),
        ({"max_rejected_rows": 0}, 10, 1, "maxRejectedRows 0"),
        ({"max_rejected_rows": 5, "max_rejected_ratio": "0.1"}, 10, 2, "maxRejectedRatio"),
    ],
)
def test_limits(quality, read, rejected, says):
    """At a limit an object passes, beyond either of the two it does not."""
    error = breach(Quality(**quality), read, rejected, where="raw/x.csv")

    if says is None:
        assert error is None
    else:
        assert says in str(error)
        assert error.code == FileCode.REJECTED_ROWS


def test_message_counts():
    """How many of how many, and under which key."""
    error = breach(Quality(max_rejected_rows=1), 10, 3, where="raw/x.csv")

    assert str(error).startswith(
        "raw/x.csv: 3 of 10 rows are rejected, more than maxRejectedRows 1"
    )


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**6))
def test_ratio_is_exact(read, rejected, millionths):
    """No binary fraction decides about a row."""
    rejected = min(rejected, read)
    ratio = f"{Decimal(millionths) / 10**6:.6f}"

    error = breach(Quality(max_rejected_ratio=ratio), read, rejected, where="x")

    assert (error is not None) is (rejected * 10**6 > millionths * read)
