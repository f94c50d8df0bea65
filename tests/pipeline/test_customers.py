"""Which keys may be used beside those that the warehouse knows, and what that costs."""

import pytest

from sales_pipeline import customers
from sales_pipeline.customers import Keys, refusal_of
from sales_pipeline.errors import ConfigurationError
from tests.support.credentials import CANARY


def known(**needed):
    """Keys of the warehouse, each version with whether runs must have it."""
    return [
        {"key_version": int(name[1:]), "check_value": f"check-{name[1:]}", "needed": is_needed}
        for name, is_needed in needed.items()
    ]


def keys(newest, *earlier):
    return Keys(newest, {version: f"check-{version}" for version in (newest, *earlier)})


class Warehouse:
    """Answers with the keys it knows, and keeps the names of the statements that it is to run."""

    def __init__(self, rows):
        self.answers, self.done, self.added = rows, [], []

    def rows(self, name):
        assert name == "pseudonym_keys"
        return self.answers

    def run(self, name, params=None):
        self.done.append(name)
        if name == "insert_pseudonym_key":
            self.added.append((params["key_version"], params["check_value"]))
        return 0


def merged(rows, of):
    warehouse = Warehouse(rows)
    customers.merge(warehouse, of, {})
    return warehouse


@pytest.mark.parametrize(
    ("rows", "of"),
    [
        pytest.param(known(), keys(1), id="first run"),
        pytest.param(known(), keys(3, 2, 1), id="first run after a rotation"),
        pytest.param(known(v1=True), keys(1), id="same key"),
        pytest.param(known(v1=True), keys(2, 1), id="rotation"),
        pytest.param(known(v1=True, v2=True), keys(1), id="began before the rotation"),
        pytest.param(known(v1=True, v2=True), keys(3, 2, 1), id="second rotation"),
        pytest.param(known(v1=False, v2=True), keys(3, 2), id="one that is not needed any more"),
    ],
)
def test_keys_that_find_all_customers_are_admitted(rows, of):
    assert refusal_of(of, {row["key_version"]: row for row in rows}) is None
    added = of.checks.keys() - {row["key_version"] for row in rows}
    assert sorted(merged(rows, of).added) == [
        (version, f"check-{version}") for version in sorted(added)
    ]


@pytest.mark.parametrize(
    ("rows", "of", "code", "version"),
    [
        (known(v1=True), keys(2), "pseudonym.key_missing", 1),
        (known(v1=True, v2=True), keys(3, 1), "pseudonym.key_missing", 2),
        (known(v1=True), Keys(1, {1: CANARY}), "pseudonym.key_changed", 1),
        (known(v1=True), Keys(2, {2: "new", 1: CANARY}), "pseudonym.key_changed", 1),
        (known(v1=False), Keys(1, {1: CANARY}), "pseudonym.key_changed", 1),
    ],
)
def test_keys_that_would_split_customers_are_refused(rows, of, code, version):
    """Before anything is merged or remembered, and without telling what keys are known by."""
    warehouse = Warehouse(rows)
    with pytest.raises(ConfigurationError) as refused:
        customers.merge(warehouse, of, {})
    assert refused.value.code == code
    assert f"version {version}" in refused.value.what
    assert CANARY not in str(refused.value)
    assert warehouse.done == []


@pytest.mark.parametrize(
    "of", [pytest.param(keys(1), id="one key"), pytest.param(Keys(1, {}), id="no key")]
)
def test_who_never_rotated_pays_nothing(of):
    """One statement more than before asks for the keys, which are a handful; none is for rows."""
    assert merged(known(v1=True), of).done == ["merge_customers"]


@pytest.mark.parametrize("of", [keys(2, 1), keys(1), keys(2)])
def test_once_rotated_customers_are_looked_for_by_all_their_names(of):
    """By the old key alone too: its run must find what runs with the new one have made."""
    done = merged(known(v1=False, v2=True), of).done
    assert done == ["find_known_customers", "find_double_customers", "rekey_customers",
                    "merge_customers", "insert_aliases"]  # fmt: skip


def test_pseudonyms_without_a_key_ask_for_none():
    """Whatever keys the warehouse knows."""
    assert merged(known(v1=True, v2=True), Keys(3, {})).added == []
