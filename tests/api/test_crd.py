"""The CRD says what the models say, in the words that API servers understand."""

import copy
import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import Field

from sales_api import generate, names, reference
from sales_api.cel import RULES as CEL
from sales_api.crd import crd, schema
from sales_api.ingest import SalesIngestSpec
from sales_api.model import Model
from sales_api.structural import NotStructuralError, structural
from tests.api.specs import RULES
from tests.docs.pages import ROOT


@pytest.mark.parametrize("path", generate.generated(ROOT), ids=lambda path: path.name)
def test_what_is_generated_is_checked_in(path):
    assert path.read_text("utf-8") == generate.generated(ROOT)[path], (
        f"{path.relative_to(ROOT)} is behind the models: run `make generate`"
    )


def test_generating_writes_each_file_and_keeps_what_was_written_by_hand(tmp_path, monkeypatch):
    page = tmp_path / generate.REFERENCE
    page.parent.mkdir()
    page.write_text(f"# By hand\n\n{reference.MARK}\n\nwas here\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    generate.main()

    assert page.read_text("utf-8").startswith(f"# By hand\n\n{reference.MARK}\n\n## spec\n")
    assert "was here" not in page.read_text("utf-8")
    for name in generate.CRD_FILES:
        assert (tmp_path / name).read_text("utf-8") == (ROOT / name).read_text("utf-8")


def test_a_page_without_the_mark_is_left_alone():
    """Or the reference would take the place of what somebody wrote."""
    with pytest.raises(ValueError, match="make generate"):
        reference.with_reference("# By hand\n")


# --- the definition


def test_identity_is_that_of_the_names():
    spec = crd()["spec"]

    assert crd()["metadata"]["name"] == "salesingests.minidata.io"
    assert (spec["group"], spec["scope"]) == (names.GROUP, "Namespaced")
    assert spec["names"]["shortNames"] == ["si"]
    assert spec["names"]["categories"] == ["minidata"]
    (version,) = spec["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}


def test_columns_of_kubectl_get():
    columns = crd()["spec"]["versions"][0]["additionalPrinterColumns"]

    shown = [column["name"] for column in columns if not column.get("priority")]
    wide = [column["name"] for column in columns if column.get("priority")]
    assert shown == [
        *("Ready", "Pending", "Running", "Loaded", "Rejected"),
        *("Schedule", "Last Success", "Age"),
    ]
    assert wide == ["Reason", "Message"]


@pytest.mark.parametrize("column", crd()["spec"]["versions"][0]["additionalPrinterColumns"])
def test_a_column_shows_a_field_that_exists(column):
    """A misspelt path shows nothing, and nobody is told."""
    node = schema()
    for step in column["jsonPath"].partition("[")[0].strip(".").split("."):
        if step == "metadata":
            return
        node = node["properties"][step]


# --- the schema

PARTS = {name: schema()["properties"][name] for name in ("spec", "status")}


def nodes(node, path) -> Iterator[tuple[str, dict]]:
    """Each node below one, items and map values too."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in node:
            yield from nodes(node[word], f"{path}[]")


NODES = {path: node for name, part in PARTS.items() for path, node in nodes(part, name)}


def test_every_field_has_a_description_of_one_line():
    """`kubectl explain` reads like a manual."""
    fields = {path: node for path, node in NODES.items() if not path.endswith("[]")}

    assert len(fields) > 300
    assert [p for p, node in fields.items() if "\n" in node.get("description", "\n")] == []


def is_bounded(node):
    kind = node["type"]
    if kind == "string":
        return "maxLength" in node or "enum" in node or node.get("format") == "date-time"
    needed = {
        "array": {"maxItems"},
        "integer": {"minimum", "maximum"},
        "object": {"maxProperties"} if "additionalProperties" in node else set(),
        "boolean": set(),
    }
    return needed[kind] <= node.keys()


def test_everything_has_a_bound():
    """Else the server refuses rules about it as too dear."""
    assert [path for path, node in NODES.items() if not is_bounded(node)] == []


def test_nothing_is_said_that_servers_refuse():
    """No reference, union, null or title, and none of JSON Schema's later words."""
    refused = {
        *("$ref", "$defs", "title", "const", "anyOf", "oneOf", "allOf", "exclusiveMinimum"),
        *("propertyNames", "patternProperties", "nullable"),
    }
    assert [path for path, node in NODES.items() if refused & node.keys()] == []
    assert [p for p, node in NODES.items() if node.get("additionalProperties") is False] == []
    assert ": null" not in json.dumps(crd())


def test_columns_of_the_record_are_fields():
    columns = NODES["spec.contract.columns"]

    assert set(columns["properties"]) == {*names.RECORD_COLUMNS, names.ORDER_LINE}
    assert "additionalProperties" not in columns


def filled(node):
    """What a server makes of an object without fields."""
    made = copy.deepcopy(node.get("default", {}))
    for name, field in node.get("properties", {}).items():
        if "default" in field:
            made.setdefault(name, copy.deepcopy(field["default"]))
        if name in made and "properties" in field:
            made[name] = filled(field | {"default": made[name]})
    return made


def test_defaults_of_the_schema_are_those_of_the_models():
    """What a server fills in, field by field, is what the parser would have taken."""
    required = {"source": {"bucket": "sales"}}
    want = SalesIngestSpec.model_validate(required)

    server = filled(PARTS["spec"] | {"default": required})

    assert server == want.model_dump(by_alias=True, mode="json", exclude_none=True)


def test_a_status_has_no_defaults():
    """It says what was seen; a zero that nobody counted would be a lie."""
    assert [p for p, n in NODES.items() if p.startswith("status") and "default" in n] == []


def test_conditions_are_a_map_by_type():
    conditions = NODES["status.conditions"]

    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


# --- the rules


def models(model):
    """The models that a model is made of, itself included."""
    definitions = model.model_json_schema()["$defs"]
    known = {sub.__name__: sub for sub in descendants(Model)}
    return {model, *(known[name] for name in definitions if name in known)}


def descendants(model):
    return {sub for child in model.__subclasses__() for sub in {child, *descendants(child)}}


def test_each_rule_between_fields_is_a_rule_of_the_server_too():
    """A model that checks its fields against one another does so in CEL as well."""
    checked = {
        model
        for model in models(SalesIngestSpec)
        if model.__pydantic_decorators__.model_validators  # type: ignore[attr-defined]
    }

    assert len(checked) > 5
    assert {model.__name__ for model in checked - CEL.keys()} == set()


def test_each_rule_has_a_bad_spec_that_shows_it():
    """In tests/api/specs.py; parser and server are tested by them."""
    shown = {bad.says for bad in RULES.values()}
    messages = {rule.message for rules in CEL.values() for rule in rules}
    unchangeable = {message for message in messages if "cannot be changed" in message}

    assert len(unchangeable) == 2
    assert {m for m in messages - unchangeable if not m.startswith(tuple(shown))} == set()


def test_rules_are_where_their_fields_are():
    places = {
        path: len(node["x-kubernetes-validations"])
        for path, node in NODES.items()
        if "x-kubernetes-validations" in node and ".columns." not in path
    }

    assert places == {
        "spec.source": 3,
        "spec.format": 2,
        "spec.contract": 2,
        "spec.trigger": 1,
        "spec.job.resources": 2,
        "spec.job.nodeSelector": 2,
        "spec.job.labels": 2,
        "spec.job.annotations": 2,
        "spec.job.tolerations[]": 2,
    }
    assert "x-kubernetes-validations" in NODES["spec.contract.columns.order_id"]


# --- the making of a schema


class Colour(StrEnum):
    """What it looks like."""

    RED = "Red"
    BLUE = "Blue"


class Inner(Model):
    """A part."""

    size: int = 3
    """How big."""
    note: str | None = None


class Outer(Model):
    """A whole."""

    needed: Inner
    whole: Inner = Inner()
    larger: Inner = Inner(size=9)
    maybe: Inner | None = None
    colour: Colour = Colour.RED
    """Which of
    both."""
    off: bool = False
    fixed: Literal["x"] = "x"
    by_colour: Annotated[dict[Colour, int], Field(max_length=2)] = {}


def test_a_model_becomes_a_structural_schema():
    """References inlined, an absent value left out, the field's words before the model's."""
    number = {"type": "integer", "format": "int64"}
    inner = {
        "description": "A part.",
        "type": "object",
        "properties": {
            "size": {"description": "How big.", **number, "default": 3},
            "note": {"type": "string"},
        },
    }

    assert structural(Outer) == {
        "description": "A whole.",
        "type": "object",
        "required": ["needed"],
        "properties": {
            "needed": inner,
            "whole": {**inner, "default": {}},
            "larger": {**inner, "default": {"size": 9}},
            "maybe": inner,
            "colour": {
                "description": "Which of both.",
                "type": "string",
                "enum": ["Red", "Blue"],
                "default": "Red",
            },
            "off": {"type": "boolean", "default": False},
            "fixed": {"type": "string", "enum": ["x"], "default": "x"},
            "byColour": {
                "type": "object",
                "default": {},
                "properties": {"Red": number, "Blue": number},
            },
        },
    }


class Union(Model):
    either: int | str


class Positive(Model):
    size: Annotated[float, Field(gt=0)]


@pytest.mark.parametrize("model", [Union, Positive])
def test_what_a_schema_cannot_say_is_not_passed_over(model):
    """Whoever adds such a field hears of it here, and not from a server."""
    with pytest.raises(NotStructuralError):
        structural(model)
