"""Components among the parameters of others, such as the strategy that a gate goes around, or the optimizer that sam wraps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from zoo.components import Component, Kind


def inner(component: Component[Any], kind: Kind | None = None) -> dict[str, Component[Any]]:
    """Return the components among the parameters, of one kind or of all, by their paths: `base`, or `members.0` in a list."""
    fields = component.params.__struct_fields__
    found = (pair for field in fields for pair in _inside(field, getattr(component.params, field)))
    return {path: part for path, part in found if kind in (None, part.spec.kind)}


def with_inner(component: Component[Any], change: Callable[[Component[Any]], Component[Any]]) -> Component[Any]:
    """Return the component with every one among its parameters changed."""
    params = component.params
    fields = {field: _changed(getattr(params, field), change) for field in params.__struct_fields__}
    return Component(component.spec, component.name, msgspec.structs.replace(params, **fields), component.provenance)


def _inside(path: str, value: Any) -> Iterator[tuple[str, Component[Any]]]:
    if isinstance(value, Component):
        yield path, value
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from _inside(f"{path}.{number}", part)


def _changed(value: Any, change: Callable[[Component[Any]], Component[Any]]) -> Any:
    if isinstance(value, Component):
        return change(value)
    return type(value)(_changed(part, change) for part in value) if isinstance(value, (list, tuple)) else value
