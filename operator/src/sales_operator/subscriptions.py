"""Which notification rules a bucket must have so that the receiver hears of its new objects."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from sales_operator.events import CREATED

Rule = Mapping[str, Any]
"""One of a bucket's QueueConfigurations."""

_RULES = "QueueConfigurations"
_ANSWER = "ResponseMetadata"
"""What boto3 puts beside the configuration."""


def merged(
    current: Mapping[str, Any], prefixes: Collection[str], instance: str, target: str
) -> dict[str, Any] | None:
    """The configuration of a bucket in which our rules are those for the prefixes, and no others.

    Args:
        current: The configuration as it is. All that is not ours is taken over as it stands.
        prefixes: Where new objects shall be told of; with none, our rules go.
        instance: Which installation is asking. Rules of another one are not ours.
        target: ARN of what shall be told.

    Returns:
        The whole configuration to be written, or None if nothing needs to change.
    """
    mark = f"minidata.{instance}."
    rules = current.get(_RULES, [])
    ours = [rule for rule in rules if rule.get("Id", "").startswith(mark)]
    others = [rule for rule in rules if not rule.get("Id", "").startswith(mark)]
    wanted = [_rule(mark, prefix, target) for prefix in outermost(prefixes)]
    if _meanings(ours, target) == _meanings(wanted, target):
        return None
    kept = {part: current[part] for part in current if part not in {_RULES, _ANSWER}}
    return kept | ({_RULES: [*others, *wanted]} if others or wanted else {})


def outermost(prefixes: Collection[str]) -> list[str]:
    """The prefixes that lie within no other, sorted: together they cover the same keys.

    Some stores refuse rules that overlap, and one rule tells of an object once.
    """
    found: list[str] = []
    for prefix in sorted(set(prefixes)):
        # Sorted, a prefix comes right after what it lies in, or after others within that.
        if not (found and prefix.startswith(found[-1])):
            found.append(prefix)
    return found


def _rule(mark: str, prefix: str, target: str) -> dict[str, Any]:
    return {
        "Id": mark + hashlib.sha256(prefix.encode()).hexdigest()[:16],
        "QueueArn": target,
        "Events": [f"s3:ObjectCreated:{how}" for how in CREATED],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }


def _meanings(rules: Collection[Rule], target: str) -> Counter[object]:
    return Counter(_meaning(rule, target) for rule in rules)


def _meaning(rule: Rule, target: str) -> object:
    """What a rule does, however the store writes it."""
    filters = rule.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return (
        rule.get("Id"),
        _without_region(rule.get("QueueArn", ""), target),
        frozenset(rule.get("Events", [])),
        frozenset((part["Name"].lower(), part["Value"]) for part in filters),
    )


def _without_region(arn: str, target: str) -> str:
    """The ARN as it is compared: MinIO fills its region in where the target names none."""
    parts, wanted = arn.split(":"), target.split(":")
    if len(parts) == len(wanted) > 3 and not wanted[3]:  # noqa: PLR2004 - arn:partition:service:region
        parts[3] = ""
    return ":".join(parts)
