"""The plan file: what is understood, what is refused, and that PLAN.md tells of all of it."""

import copy
import re

import pytest
import yaml
from pydantic import BaseModel

from sales_vault import wanted
from sales_vault.errors import ConfigurationError
from sales_vault.wanted import read_plan
from tests.vault.plans import PAGE, example


def _read(tmp_path, document):
    path = tmp_path / "plan.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return read_plan(path)


def _changed(**parts):
    return {**copy.deepcopy(example()), **parts}


def test_example_of_the_page_is_a_plan(tmp_path):
    plan = _read(tmp_path, example())
    assert plan.roles["sales-pipeline"].ttl == 7200
    assert plan.database.connections["sales"].sslmode == "verify-full"
    assert set(plan.policies) == set(plan.roles)


def test_smallest_plan(tmp_path):
    """A role for the setup itself is all that must be there."""
    plan = _read(tmp_path, {"roles": {"vault-setup": {"namespaces": ["sales"]}}})
    assert (plan.initialise.shares, plan.initialise.threshold) == (5, 3)
    assert plan.roles["vault-setup"].audience == "vault"


def _fields(model, seen):
    for name, field in model.model_fields.items():
        yield field.alias or name
        for part in re.findall(r"sales_vault\.wanted\.(\w+)", str(field.annotation)):
            inner = getattr(wanted, part)
            if isinstance(inner, type) and issubclass(inner, BaseModel) and part not in seen:
                seen.add(part)
                yield from _fields(inner, seen)


def test_page_tells_of_every_field():
    fields = set(_fields(wanted.Plan, set()))
    assert {"rotateLogin", "encoding", "namespaces", "reviewerTokenFile"} <= fields
    table = PAGE.read_text("utf-8").partition("## The plan of this platform")[0]
    assert {name for name in fields if not re.search(rf"\b{name}\b", table)} == set()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"secrets": {}}, "secrets: Extra inputs"),
        ({"initialise": {"shares": 2, "threshold": 3}}, "threshold must not be greater"),
        ({"setupRole": "root"}, "roles: root, the setupRole, is missing"),
        ({"kv": None}, "without kv no connection has its login"),
        ({"roles": {"vault-setup": {"namespaces": []}}}, "roles.vault-setup.namespaces"),
        ({"roles": {"a": {"namespaces": ["s"], "ttl": 900}}}, "such as 90s, 15m, 8h or 7d"),
        ({"policies": {"a": {"kv/data/x": ["write"]}}}, "policies.a.kv/data/x.0"),
        ({"kubernetes": {"caFile": "/nowhere/ca.crt"}}, "kubernetes.caFile: Value error, the file"),
        ({"kv": {"generate": {"a": {}}}}, "kv.generate.a"),
        ({"policies": {"Mine": {"a": ["read"]}}}, "policies.Mine"),
        ({"kv": {"generate": {"../a": {"b": {"value": "c"}}}}}, "kv.generate.../a"),
        (
            {"kv": {"generate": {"a": {"b": {"random": {"bytes": 8}}}}}},
            "greater than or equal to 16",
        ),
    ],
)
def test_unusable_part_is_named(tmp_path, parts, said):
    with pytest.raises(ConfigurationError) as caught:
        _read(tmp_path, _changed(**parts))
    assert said in caught.value.what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"caFile": None}, "caFile is needed to verify"),
        ({"sslmode": "prefer"}, "database.connections.sales.sslmode"),
        ({"port": 0}, "database.connections.sales.port"),
    ],
)
def test_connection_that_is_not_secure_or_not_there(tmp_path, change, said):
    document = example()
    document["database"]["connections"]["sales"] |= change
    with pytest.raises(ConfigurationError, match=said):
        _read(tmp_path, document)


def test_role_of_a_connection_that_is_not_there(tmp_path):
    document = example()
    document["database"]["roles"]["sales-pipeline"]["connection"] = "other"
    with pytest.raises(ConfigurationError, match="no such connection: other"):
        _read(tmp_path, document)


@pytest.mark.parametrize("text", ["", "a: b: c", "- 1", "\x00"])
def test_no_plan_at_all(tmp_path, text):
    with pytest.raises(ConfigurationError):
        _read(tmp_path, text)


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_plan(tmp_path / "plan.yaml")


def test_value_is_not_quoted_in_an_error(tmp_path):
    """Somebody may have put a secret where none belongs."""
    parts = {"kv": {"generate": {"a": {"b": {"random": {"bytes": "pw-canary"}}}}}}
    with pytest.raises(ConfigurationError) as caught:
        _read(tmp_path, _changed(**parts))
    assert "canary" not in str(caught.value)
