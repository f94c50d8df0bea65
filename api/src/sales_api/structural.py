"""Makes a structural schema, as CRDs need it, of a pydantic model."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from sales_api.cel import RULES, Rule
from sales_api.report import Rows

Schema = dict[str, Any]

_WRITTEN: Final = (
    *("description", "type", "format", "default", "enum", "pattern"),
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "maxProperties"),
    *("required", "properties", "additionalProperties", "items", "x-kubernetes-validations"),
)
"""What a schema may say, in the order in which it is written."""
_SAID_OTHERWISE: Final = {"$ref", "anyOf", "const", "title", "propertyNames", "patternProperties"}
_RULES: Final = {model.__name__: rules for model, rules in RULES.items()}
_NOTES: Final = {
    Rows.__name__: {
        "read": "All rows that were read.",
        "loaded": "Rows that went into the star.",
        "rejected": "Rows that break a rule; they lie masked in quarantine.",
        "deduplicated": "Rows whose key belongs to a record of greater precedence.",
    }
}
"""Descriptions of the fields of a model that resources share with others."""


class NotStructuralError(ValueError):
    """A model says something that a CRD cannot."""


def structural(model: type[BaseModel]) -> Schema:
    """The schema of a model: nothing is referred to, and defaults are as a server fills them in.

    Raises:
        NotStructuralError: The model holds a union, or another thing that CRDs do not know.
    """
    document = model.model_json_schema(by_alias=True)
    definitions = document.pop("$defs", {}) | {model.__name__: document}
    return _Inliner(definitions).node(_reference(model.__name__))


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


class _Inliner:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def node(self, raw: Schema) -> Schema:
        """One node and all below it."""
        node = self._resolved(raw)
        return _ordered({**node, **_leaf(node), **self._children(node), **_default(node)})

    def _resolved(self, raw: Schema) -> Schema:
        """The node with all that it refers to; its own words come before those."""
        if "anyOf" in raw:
            own = {key: value for key, value in raw.items() if key != "anyOf"}
            return self._resolved(_one_of(raw) | own)
        return self._definition(raw["$ref"]) | raw if "$ref" in raw else raw

    def _definition(self, reference: str) -> Schema:
        name = reference.rpartition("/")[2]
        notes = _NOTES.get(name, {})
        found = self._definitions[name]
        fields = found.get("properties", {}).items()
        described = {f: {"description": notes[f], **n} if f in notes else n for f, n in fields}
        rules = _RULES.get(name)
        return {**found, "properties": described, **(_validations(*rules) if rules else {})}

    def _children(self, node: Schema) -> Schema:
        if values := _values(node):
            return self._map(node, values)
        if "items" in node:
            return {"items": self.node(node["items"])}
        return {"properties": {n: self.node(f) for n, f in node.get("properties", {}).items()}}

    def _map(self, node: Schema, values: Schema) -> Schema:
        """A map: where its keys are known, an object of fields; else its keys have rules."""
        keys = self._resolved(node.get("propertyNames", {}))
        if "enum" in keys:
            fields = {key: self.node(values) for key in keys["enum"]}
            return {"properties": fields, "additionalProperties": None, "maxProperties": None}
        if "maxLength" not in keys:
            raise NotStructuralError(f"a map whose keys have no bound: {node}")
        patterns = tuple(node.get("patternProperties", ()))
        rules = [*map(_keys_match, patterns), _keys_are_short(keys["maxLength"])]
        return {"additionalProperties": self.node(values), **_validations(*rules)}


def _one_of(raw: Schema) -> Schema:
    one, *others = [part for part in raw["anyOf"] if part != {"type": "null"}]
    if others:
        raise NotStructuralError(f"a union: {raw}")
    return dict(one)


def _values(node: Schema) -> Schema | None:
    """What the values of a map are."""
    by_pattern = list(node.get("patternProperties", {}).values())
    return by_pattern[0] if by_pattern else node.get("additionalProperties") or None


def _keys_match(pattern: str) -> Rule:
    return Rule(f"self.all(key, key.matches('{pattern}'))", "keys must be as Kubernetes has them")


def _keys_are_short(length: int) -> Rule:
    return Rule(f"self.all(key, size(key) <= {length})", f"keys have at most {length} characters")


def _validations(*rules: Rule) -> Schema:
    return {"x-kubernetes-validations": [rule.as_validation() for rule in rules]}


def _leaf(node: Schema) -> Schema:
    """What is said in other words about a value, and a description without line breaks."""
    made: Schema = {"description": " ".join(node.get("description", "").split())}
    if "const" in node:
        made["enum"] = [node["const"]]
    if node.get("type") == "integer":
        made["format"] = "int64"
    return made


def _default(node: Schema) -> Schema:
    """Of an object only what differs from the defaults of its fields: those fill in the rest.

    Where rules look at the fields it is written out, since the server checks a default by itself.
    """
    default, fields = node.get("default"), node.get("properties", {})
    if not isinstance(default, dict):
        return {}
    if "x-kubernetes-validations" in node:
        return {"default": _without_none(default)}
    return {"default": {k: v for k, v in default.items() if fields[k].get("default") != v}}


def _without_none(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_none(part) for key, part in value.items() if part is not None}


def _ordered(node: Schema) -> Schema:
    kept: Schema = {
        key: node[key] for key in _WRITTEN if key in node and not _says_nothing(key, node[key])
    }
    if unknown := node.keys() - {*_WRITTEN, *_SAID_OTHERWISE}:
        raise NotStructuralError(f"{', '.join(sorted(unknown))}: {node}")
    return kept


def _says_nothing(key: str, value: Any) -> bool:
    return value is None or (key != "default" and (value is False or value in ({}, [], "")))
