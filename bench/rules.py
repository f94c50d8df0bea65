"""P7: validation alone, on records in memory."""

from dataclasses import replace
from functools import partial

from bench.results import Measure, Run, at_least, ratio
from bench.runner import Bench, Contender
from sales_pipeline.generate import GenerateSpec
from sales_pipeline.generate_errors import ErrorKind

_SHARE, _FEWEST_ROWS = 10, 20_000
"""Row by row takes its time: a tenth of the rows tells as much, a few thousand tell nothing."""

_REFUSED_BY_THE_READER = {
    ErrorKind.TOO_FEW_FIELDS,
    ErrorKind.TOO_MANY_FIELDS,
    ErrorKind.STRAY_QUOTE,
}


def validation(bench: Bench) -> Measure:
    """P7: the vectorised rules against the pydantic model they are derived from, row by row."""
    kinds = tuple(kind for kind in ErrorKind if kind not in _REFUSED_BY_THE_READER)
    spec = replace(
        bench.spec, rows=max(_FEWEST_ROWS, bench.options.rows // _SHARE), error_kinds=kinds
    )
    ours, check, plain = bench.compare(
        "P7",
        [
            Contender(
                "validate()", "vectorised, doubtful rows by model", _side(bench, spec, "validate")
            ),
            Contender("check()", "the contract's pydantic model", _side(bench, spec, "check")),
            Contender("plain pydantic", "the record in native types", _side(bench, spec, "plain")),
        ],
    )
    return Measure(
        id="P7",
        title="Validation alone",
        sides=[ours, check, plain],
        value=ratio(check, ours),
        value_is="speed of validate() / speed of check() row by row",
        target=at_least(30),
        notes=[f"against plain pydantic: {ratio(plain, ours):.1f} x"],
    )


def _side(bench: Bench, spec: GenerateSpec, side: str) -> partial[Run]:
    path, made = bench.file(spec)
    return partial(bench.work, {"side": side, "file": str(path), "bad_rows": made.bad_rows})
