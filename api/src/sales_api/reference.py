"""The reference of a SalesIngest for readers, made of the CRD's schema."""

import re
from collections.abc import Iterator
from typing import Any, Final

from sales_api.crd import schema
from sales_api.structural import Schema

MARK: Final = "<!-- From here on made of the models by `make generate`: change those. -->"
"""What stands above it is written by hand, and kept."""
_ENDLESS: Final = 10**15
"""A bound so high that readers need not know it."""


def with_reference(page: str) -> str:
    """A page with the reference as it should be; what stands above the mark stays.

    Raises:
        ValueError: The page has no mark.
    """
    head, mark, _ = page.partition(MARK)
    if not mark:
        raise ValueError(f"the page has no line {MARK}")
    return f"{head}{mark}\n\n{reference()}"


def reference() -> str:
    """A table for each part of spec and status."""
    fields = schema()["properties"]
    parts = [part for top in ("spec", "status") for part in _parts(top, fields[top])]
    return "\n".join(_section(path, node) for path, node in parts)


def _parts(path: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    """A part and all parts below it."""
    if "order_id" in node["properties"]:
        # All columns of the record are mapped in the same way: one stands for each.
        column = node["properties"]["order_id"]
        path, node = f"{path}.*", {**column, "description": node["description"]}
    yield path, node
    for name, field in node["properties"].items():
        if "properties" in (part := field.get("items", field)):
            yield from _parts(f"{path}.{name}", part)


def _section(path: str, node: Schema) -> str:
    """One part under its heading."""
    heading = f"{'###' if '.' in path else '##'} {path}"
    rules = [f"- {rule['message']}" for rule in node.get("x-kubernetes-validations", ())]
    rows = [_row(path, name, node) for name in node["properties"]]
    table = ["| Field | What | Default | Meaning |", "|--|--|--|--|", *rows]
    blocks = [[heading], [node.get("description", "")], table, rules]
    return "\n\n".join("\n".join(block) for block in blocks if any(block)) + "\n"


def _row(path: str, name: str, parent: Schema) -> str:
    field = parent["properties"][name]
    kind = _kind(field, f"{path}.{name}")
    cells = [f"`{name}`", kind, _default(name, parent), field["description"]]
    return f"| {' | '.join(cells)} |"


def _default(name: str, parent: Schema) -> str:
    if name in parent.get("required", ()):
        return "required"
    field = parent["properties"][name]
    is_plain = "default" in field and "properties" not in field
    return f"`{_literal(field['default'])}`" if is_plain else ""


def _literal(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if not isinstance(value, str):
        return str(value).lower()
    quote = "'" if '"' in value else '"'
    return value if value.isidentifier() else f"{quote}{value}{quote}"


def _kind(field: Schema, path: str) -> str:
    """What a value may be."""
    if "properties" in field:
        return f"[object](#{_anchor(path)})"
    if "items" in field:
        return f"list{_bounds(field, 'minItems', 'maxItems')} of {_kind(field['items'], path)}"
    if "additionalProperties" in field:
        values = _kind(field["additionalProperties"], path)
        return f"map{_bounds(field, 'minProperties', 'maxProperties')} of {values}"
    if "enum" in field:
        return ", ".join(f"`{_literal(value)}`" for value in field["enum"])
    return _scalar(field)


def _scalar(field: Schema) -> str:
    if field.get("format") == "date-time":
        return "time"
    kind, is_text = field["type"], field["type"] == "string"
    low, high = ("minLength", "maxLength") if is_text else ("minimum", "maximum")
    return f"{'text' if is_text else kind}{_bounds(field, low, high)}"


def _bounds(field: Schema, low: str, high: str) -> str:
    least, most = field.get(low, 0), field.get(high, _ENDLESS)
    if most >= _ENDLESS:
        return f" (from {least})" if least else ""
    if least == most:
        return f" ({least})"
    return f" ({least} to {most})" if low in field else f" (up to {most})"


def _anchor(path: str) -> str:
    """Where the heading of a part is, as GitHub makes it."""
    return re.sub(r"[^\w-]", "", path.lower())
