"""Types and values of parameter schemas in words, as messages and tables say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import inspect

from zoo.components import Component

_BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
_LENGTHS = (("min_length", "at least"), ("max_length", "at most"))
_WORDS: dict[type[inspect.Type], str] = {
    inspect.FloatType: "number",
    inspect.IntType: "integer",
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.StructType: "mapping",
    inspect.DictType: "mapping",
}
_ARTICLES = {"number": "a", "integer": "an", "mapping": "a", "list": "a", "component": "a"}


def few(items: Sequence[str], count: int = 5, separator: str = ", ") -> str:
    """Return the first items, and a sign that there are more."""
    return separator.join(items[:count]) + (f"{separator}…" if len(items) > count else "")


def in_words(kind: inspect.Type, article: bool = False) -> str:
    """Return a type and its range in words, like `number > 0` or, with its article, `auto or an integer ≥ 1`."""
    words = _in_words(kind, article)
    return f"{_ARTICLES[first]} {words}" if article and (first := words.partition(" ")[0]) in _ARTICLES else words


def _in_words(kind: inspect.Type, article: bool) -> str:
    match kind:
        case inspect.Metadata():
            return _in_words(kind.type, article)
        case inspect.UnionType():
            return " or ".join(in_words(part, article) for part in kind.types)
        case inspect.LiteralType():
            return " or ".join(in_yaml(value) for value in kind.values)
        case inspect.ListType() | inspect.VarTupleType():
            return " ".join(["list of", in_words(kind.item_type), *_length(kind, "items")])
        case inspect.TupleType():
            return f"[{', '.join(in_words(part) for part in kind.item_types)}]"
        case inspect.StrType():
            return " ".join(["text", *_length(kind, "characters")])
        case inspect.CustomType() if kind.cls is Component:
            return "component"
    bounds = [f"{sign} {limit:g}" for name, sign in _BOUNDS if (limit := getattr(kind, name, None)) is not None]
    return " ".join([_WORDS.get(type(kind), "value"), ", ".join(bounds)]).strip()


def in_yaml(value: Any) -> str:
    """Return a JSON-ready value as one writes it in a recipe, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(in_yaml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {in_yaml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _length(kind: inspect.Type, unit: str) -> list[str]:
    found = [(word, limit) for name, word in _LENGTHS if (limit := getattr(kind, name, None)) is not None]
    return [f"of {' and '.join(f'{word} {limit}' for word, limit in found)} {unit}"] if found else []
