"""Builds HTML and SVG as trees, so that whatever is a text ends escaped: there is no other way in.

The standard library's element tree does the writing; this only makes a tree pleasant to write.
"""

import re
from xml.etree.ElementTree import Element, tostring

Child = Element | str | int | None

_NOT_TEXT = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """An element.

    Args:
        tag: Its name.
        children: Elements and texts, in order; None is left out.
        attributes: `class_` stands for `class`, `aria_label` for `aria-label`; None is left out.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), _text(value))
    for child in children:
        _append(made, child)
    return made


def document(root: Element) -> str:
    """A whole HTML page."""
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"


def _append(parent: Element, child: Child) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif child is not None and len(parent):
        parent[-1].tail = (parent[-1].tail or "") + _text(child)
    elif child is not None:
        parent.text = (parent.text or "") + _text(child)


def _text(value: str | float) -> str:
    """As text; numbers of coordinates keep one decimal, what no document may hold is marked."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", str(value))
