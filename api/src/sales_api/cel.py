"""The rules between fields, as the API server checks them: what models check, said in CEL.

Each model whose fields depend on one another has its rules here, so that `kubectl apply` refuses
what the operator would refuse. Two rules no CEL can say: a zone must exist, and each of
dateFormats must be one of a whole date.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

from pydantic import BaseModel

from sales_api.ingest import Resources, Toleration, Trigger
from sales_api.names import ORDER_LINE, RECORD_COLUMNS
from sales_api.schedule import CRON_LINE, CRON_RULE
from sales_api.v1alpha1 import ColumnMapping, Contract, Format, Number, Rescale, Source


@dataclass(frozen=True)
class Rule:
    """What must hold of an object."""

    expression: str
    message: str
    details: str = ""
    """A CEL expression of a better message, with what was found."""
    field: str = ""
    """The one field that is wrong, where it is one."""

    def as_validation(self) -> dict[str, Any]:
        """An entry of x-kubernetes-validations."""
        entry = {"rule": self.expression, "message": self.message}
        if self.details:
            entry["messageExpression"] = self.details
        if self.field:
            entry["fieldPath"] = f".{self.field}"
        return entry


def _never_changes(field: str) -> Rule:
    what = f"{field} cannot be changed: make another SalesIngest"
    return Rule(
        f"self.{field} == oldSelf.{field}",
        what,
        details=f"'{what}, this one is of ' + oldSelf.{field}",
        field=field,
    )


def _prefixes_lie_apart() -> str:
    # Spelled out pair by pair: the server cannot tell what a loop over a list costs at most.
    prefixes = [f"self.{name}" for name in ("prefix", "quarantinePrefix", "processedPrefix")]
    ends = [f"{prefix}.endsWith('/')" for prefix in prefixes]
    apart = [f"!{one}.startsWith({other})" for one, other in permutations(prefixes, 2)]
    return " && ".join([*ends, *apart])


def _within_limit(resource: str) -> Rule:
    asked, limit = f"self.requests.{resource}", f"self.limits.{resource}"
    return Rule(
        f"!has({asked}) || !has({limit}) || quantity({asked}).compareTo(quantity({limit})) <= 0",
        f"requests must not exceed limits: {resource}",
        details=f"'requests must not exceed limits: {resource} ' + {asked} + ' and ' + {limit}",
    )


def _is_constant(column: str) -> str:
    return f"(has(self.columns.{column}) && has(self.columns.{column}.constant))"


_CONSTANTS_ONLY: Final = " && ".join(map(_is_constant, RECORD_COLUMNS))
_LINE_OF_FILE: Final = f"(has(self.columns.{ORDER_LINE}) && !{_is_constant(ORDER_LINE)})"

RULES: Final[dict[type[BaseModel], tuple[Rule, ...]]] = {
    Source: (
        _never_changes("bucket"),
        _never_changes("prefix"),
        Rule(
            _prefixes_lie_apart(),
            "the three prefixes must end in / and not contain one another",
        ),
    ),
    Format: (
        Rule(
            "self.header == (size(self.headerNames) == 0)",
            "headerNames goes with header: false, and the other way round",
        ),
        Rule(
            "!has(self.delimiter) || self.delimiter != self.quote",
            "delimiter and quote must differ",
        ),
    ),
    Number: (Rule("self.decimal != self.thousands", "decimal and thousands must differ"),),
    Rescale: (
        Rule("double(self.fromMin) < double(self.fromMax)", "fromMin must be less than fromMax"),
    ),
    ColumnMapping: (
        Rule(
            "[has(self.from), has(self.constant), size(self.concat) > 0, size(self.hashOf) > 0]"
            ".filter(origin, origin).size() == 1",
            "exactly one of from, constant, concat and hashOf is needed",
        ),
    ),
    Contract: (
        Rule(
            "size(self.customerKey) == 0 || !has(self.columns.customer_email)",
            "customerKey is for files without an e-mail: map only one of the two",
        ),
        Rule(
            f"size(self.customerKey) > 0 || {_LINE_OF_FILE} || !({_CONSTANTS_ONLY})",
            "at least one column must come from the file",
        ),
    ),
    Trigger: (Rule(f"self.schedule.matches('{CRON_LINE}')", CRON_RULE, field="schedule"),),
    Toleration: (
        Rule(
            "has(self.operator) && self.operator == 'Exists'"
            " ? !has(self.value) || self.value == '' : has(self.key)",
            "Exists goes without a value, and no key goes with Exists alone",
        ),
        Rule(
            "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            "tolerationSeconds goes with the effect NoExecute",
        ),
    ),
    Resources: (_within_limit("cpu"), _within_limit("memory")),
}
