"""Customers into the star, also those whom the warehouse knows by another key's pseudonym.

Where the key was rotated a customer has several pseudonyms. The row shows that of the run which had
the customer last; the others are aliases, so that runs with either key find the same row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sales_pipeline.errors import ConfigurationError
from sales_pipeline.warehouse import Params, Warehouse


@dataclass(frozen=True)
class Keys:
    """Which keys make the pseudonyms of a run; not the keys themselves."""

    newest: int
    """The version that is stored beside pseudonyms."""
    checks: Mapping[int, str]
    """For each version what tells its key from others; empty where pseudonyms have no key."""


def check(warehouse: Warehouse, keys: Keys) -> set[int]:
    """Compare a run's keys with those that were used before; tells the versions of the latter.

    Raises:
        ConfigurationError: With these keys, known customers would become new ones.
    """
    known = {row["key_version"]: row for row in warehouse.rows("pseudonym_keys")}
    if refusal := refusal_of(keys, known):
        raise refusal
    return set(known)


def merge(warehouse: Warehouse, keys: Keys, params: Params) -> None:
    """Merge the staged customers; raises as `check` does, should another run have been first."""
    rotated = _remember(warehouse, keys)
    if rotated:
        _recognise(warehouse, params)
    warehouse.run("merge_customers", params)
    if rotated:
        warehouse.run("insert_aliases")


def _remember(warehouse: Warehouse, keys: Keys) -> bool:
    """Have the warehouse know a run's keys; tells whether it knows several."""
    if not keys.checks:
        return False
    known = check(warehouse, keys)
    for version in keys.checks.keys() - known:
        added = {"key_version": version, "check_value": keys.checks[version]}
        warehouse.run("insert_pseudonym_key", added)
    return len(known | keys.checks.keys()) > 1


def refusal_of(keys: Keys, known: Mapping[int, Mapping[str, Any]]) -> ConfigurationError | None:
    """Why these keys may not be used beside those that the warehouse knows, if so. Pure.

    An older key alone is no reason: it is that of a run which began before the rotation, or of a
    rotation taken back, and its customers are found by their aliases.
    """
    if not keys.checks:
        return None
    for version, row in known.items():
        if keys.checks.get(version, row["check_value"]) != row["check_value"]:
            return _refusal(
                f"the key of version {version} is not the one that was used under this version",
                "Restore that key; a new key takes a new key_version, the old one previous_keys.",
                "pseudonym.key_changed",
            )
        if row["needed"] and version < keys.newest and version not in keys.checks:
            return _refusal(
                f"the warehouse has customers under key version {version}, which is missing",
                "Give that key in previous_keys, else they would be counted twice.",
                "pseudonym.key_missing",
            )
    return None


def _refusal(what: str, mend: str, code: str) -> ConfigurationError:
    return ConfigurationError(what, where="secret `pseudonym`", mend=mend, code=code)


def _recognise(warehouse: Warehouse, params: Params) -> None:
    """Give the rows of the staged customers the pseudonyms that are staged."""
    warehouse.run("find_known_customers")
    if warehouse.run("find_double_customers"):
        warehouse.run("join_double_customers")
    warehouse.run("rekey_customers", params)
