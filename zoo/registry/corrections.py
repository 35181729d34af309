"""What a person meant who wrote a setting that does not exist: the same name in another block, or one like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_origin

import msgspec

from zoo.components import Component, Kind, RegularizerSpec
from zoo.errors import ZooError, nearest
from zoo.plugins import Catalog
from zoo.recipe import Active, Augmentation, DataSettings, Distill, Freeze, Training
from zoo.registry.documents import Mark, Node
from zoo.registry.merging import name_node
from zoo.registry.shapes import component_kind, default_components, is_struct, options
from zoo.schedules import SCHEDULES

# What other libraries call a setting or a block, where no likeness of the letters tells.
SYNONYMS = {"learning_rate": "lr", "model": "architecture", "dataset": "data"}
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "data": DataSettings,
    "freeze": Freeze,
    "distill": Distill,
    "training": Training,
    "augmentation": Augmentation,
    "active": Active,
}
COMPONENTS: tuple[Kind, ...] = ("data", "architecture", "optimizer", "acquisition")


def correction(path: str, known: Sequence[str], recipe: Node, catalog: Catalog) -> str | None:
    """Return the setting, or block, that was probably meant by an unknown key at a dotted path, or None.

    `known` are the keys that its block has. Of a key, a name like one of these comes first, then the same name in another
    block of the recipe, or a regularizer of that name. Of a block it is the other way round, and the last is a setting of a
    similar name.
    """
    block, dot, key = path.rpartition(".")
    word = SYNONYMS.get(key, key)
    paths = {setting: setting.rpartition(".")[2] for setting in _settings(recipe, catalog)}
    own = [f"{block}{dot}{near}" for near in ([word] if word in known else nearest(key, known, 1))]
    same = [setting for setting, leaf in paths.items() if leaf == word] + _strengths(key, catalog)
    if block or word in known:
        return next(iter([*own, *same]), None)
    alike = nearest(key, paths.values(), 1)
    return next(iter([*same, *own, *(setting for setting, leaf in paths.items() if leaf in alike)]), None)


def corrected(assignment: str, path: str, meant: str) -> str | None:
    """Return a `key=value` of the command line with the unknown path in its key replaced, or None where it is not there."""
    key, equals, value = assignment.partition("=")
    if key != path and not key.startswith(f"{path}."):
        return None
    return f"{meant}{key[len(path) :]}{equals}{value}"


def _strengths(key: str, catalog: Catalog) -> list[str]:
    """Return the strength of the regularizer that a key is the name of: `weight_decay`, `dropout`."""
    name = key.replace("_", "-")
    specs = [entry.spec for entry in catalog.entries("regularizer") if entry.name == name]
    return [f"regularizers.{name}.{spec.strength}" for spec in specs if isinstance(spec, RegularizerSpec)]


def _settings(recipe: Node, catalog: Catalog) -> Iterator[str]:
    """Yield the dotted paths of all settings that a recipe has, those of its components and of blocks it leaves out included."""
    for block, struct in STRUCTS.items():
        yield from _fields(struct, block, recipe.mapping.get(block), catalog)
    schedule = recipe.mapping.get("schedule")
    shape = SCHEDULES.get(_name(schedule))
    if shape is not None:
        yield from _fields(shape, "schedule", schedule, catalog)
    for kind in COMPONENTS:
        yield from _of_component(kind, kind, recipe.mapping.get(kind), catalog)
    items = recipe.mapping["regularizers"].items if "regularizers" in recipe.mapping else []
    for item in items:
        yield from _of_component("regularizer", f"regularizers.{_name(item)}", item, catalog)


def _of_component(kind: Any, path: str, node: Node | None, catalog: Catalog) -> Iterator[str]:
    try:
        spec = catalog.find(kind, _name(node)).spec
    except ZooError:  # another message says so
        return
    yield from _fields(spec.params, path, node, catalog)


def _fields(struct: type[msgspec.Struct], path: str, node: Node | None, catalog: Catalog) -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        where, child = f"{path}.{field.name}", node.mapping.get(field.name) if node is not None else None
        yield where
        for option in options(field.type):
            if is_struct(option):
                yield from _fields(option, where, child, catalog)
            elif get_origin(option) is Component:
                inner = child if child is not None else default_components(field, Mark(""))
                yield from _of_component(component_kind(option), where, inner, catalog)


def _name(node: Node | None) -> str:
    found = name_node(node) if node is not None else None
    return str(found.value) if found is not None else ""
