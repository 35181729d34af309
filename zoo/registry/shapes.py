"""What the type of a parameter admits: its options, and the components among them."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from zoo.components import Component
from zoo.registry.documents import Mark, Node


def options(kind: Any) -> list[Any]:
    """Return the members of a union, without their annotations."""
    if get_origin(kind) is Annotated:
        return options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for part in get_args(kind) for option in options(part)]
    return [kind]


def default_components(item: Any, mark: Mark) -> Node | None:
    """Return the node of a field's default where that names components, one or a list of them."""
    default = item.default_factory() if item.default is msgspec.NODEFAULT else item.default
    if isinstance(default, str) and kind_of_component(item.type):
        return Node(default, mark)
    kinds = [part for option in options(item.type) if get_origin(option) in (list, tuple) for part in get_args(option)]
    if isinstance(default, (list, tuple)) and any(kind_of_component(kind) for kind in kinds):
        return Node([Node(name, mark) for name in default], mark)
    return None


def is_struct(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, msgspec.Struct)


def kind_of_component(kind: Any) -> Any:
    return next((component_kind(option) for option in options(kind) if get_origin(option) is Component), None)


def component_kind(option: Any) -> Any:
    return get_args(get_args(option)[0])[0]


def choices(kind: Any) -> list[str]:
    return [value for option in options(kind) for value in get_args(option) if isinstance(value, str)]
