"""Layers of a recipe laid over one another: defaults, parents, the recipe, `--data`, the command line."""

from __future__ import annotations

from functools import reduce

from msgspec.structs import replace

from zoo.errors import Problem, RecipeError
from zoo.registry.documents import COMMAND_LINE, Mark, Node, parse_value

# Of the data block, what concerns the machine and the cut, not the images: it outlives a change of the source.
LASTING = frozenset({"split_seed", "validation_fraction", "test_fraction", "workers", "memory_limit"})


def merge(below: Node, above: Node) -> Node:
    """Return `above` over `below`.

    Mappings merge key by key, but a new `name`, or a bare string in place of one, drops what the block had. Everything else
    is replaced.
    """
    if isinstance(above.value, dict) and isinstance(below.value, str) and _name(above) in (None, below.value):
        return replace(above, bare=below)
    if isinstance(above.value, str) and isinstance(below.value, dict) and _name(below) == above.value:
        return replace(below, value={**below.value, "name": above}, key=above.key)
    if not isinstance(above.value, dict) or not isinstance(below.value, dict):
        return above
    if None not in (_name(below), _name(above)) and _name(below) != _name(above):
        return above
    merged = dict(below.value)
    for key, node in above.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return replace(above, value=merged, bare=above.bare or below.bare)


def merge_recipes(below: Node, above: Node) -> Node:
    """Return one layer of blocks over another; a new data source keeps the settings of the machine and the cut.

    A range of `search` replaces the one below it, and a block's new name drops the ranges of its settings with the settings.
    """
    merged = _with_ranges(merge(below, above), below, above)
    old, new = below.mapping.get("data"), above.mapping.get("data")
    if old is None or new is None:
        return merged
    data = merged.mapping["data"]
    if _name(old) != _name(data):
        lasting = {key: node for key, node in old.mapping.items() if key in LASTING}
        data = merge(Node(lasting, old.mark), _named(data))
    return replace(merged, value={**merged.mapping, "data": data})


def _with_ranges(merged: Node, below: Node, above: Node) -> Node:
    search = merged.mapping.get("search")
    if search is None or not search.mapping:
        return merged
    own = above.mapping["search"].mapping if "search" in above.mapping else {}
    renamed = {key for key in below.mapping if _name(below.mapping[key]) != _name(merged.mapping[key])}
    kept = {path: node for path, node in search.mapping.items() if path in own or path.split(".")[0] not in renamed}
    return replace(merged, value={**merged.mapping, "search": replace(search, value={**kept, **own})})


def with_data(recipe: Node, name: str, path: str | None, mark: Mark) -> Node:
    """Return the recipe with another data source: nothing that belongs to the old one is kept, even under the same name."""
    content = {"name": Node(name, mark, mark)}
    if path is not None:
        content["path"] = Node(path, mark, mark)
    old = recipe.mapping.get("data", Node({}, mark))
    lasting = {key: node for key, node in old.mapping.items() if key in LASTING}
    return replace(recipe, value={**recipe.mapping, "data": Node({**lasting, **content}, mark, mark)})


def assign(recipe: Node, assignment: str) -> Node:
    """Return the recipe with one `key=value` of the command line laid over it; raises RecipeError."""
    mark = Mark(COMMAND_LINE, argument=assignment)
    key, equals, text = assignment.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise RecipeError(
            [Problem(COMMAND_LINE, f"a setting is KEY=VALUE, like optimizer.lr=0.05, got {assignment!r} instead")]
        )
    value = replace(parse_value(text, mark), key=mark)
    if path[0] == "search" and len(path) > 1:
        return with_range(recipe, ".".join(path[1:]), value)
    if path[0] == "regularizers" and len(path) > 1:
        return _assign_regularizer(recipe, path[1], path[2:], value)
    return merge_recipes(recipe, Node({path[0]: _nested(path[1:], value)}, recipe.mark, recipe.key))


def with_range(recipe: Node, path: str, values: Node) -> Node:
    """Return the recipe with the range of one setting in place of what `search` has for it; null takes it out."""
    here = recipe.mapping.get("search", Node({}, values.mark, values.mark))
    ranges = {key: node for key, node in here.mapping.items() if key != path}
    if values.value is not None:
        ranges[path] = values
    return replace(recipe, value={**recipe.mapping, "search": replace(here, value=ranges)})


def name_node(node: Node) -> Node | None:
    """Return the node that names a component: the bare string, or the `name` of the mapping, or None."""
    return node if isinstance(node.value, str) else node.mapping.get("name", node.bare)


def _assign_regularizer(recipe: Node, name: str, path: list[str], value: Node) -> Node:
    """Address one item of the list by its name: null removes it, anything else changes or adds it."""
    here = recipe.mapping.get("regularizers", Node([], value.mark, value.mark))
    others = [item for item in here.items if _name(item) != name]
    found = [item for item in here.items if _name(item) == name]
    if value.value is None and not path:
        if not found:
            names = ", ".join(str(_name(item)) for item in here.items) or "none"
            raise RecipeError([value.mark.problem(f"there is no regularizer '{name}' to remove; there are {names}")])
        items = others
    else:
        named = Node({"name": Node(name, value.mark, value.mark)}, value.mark, value.mark)
        layers = [*(found or [named]), _nested(path, value)]
        changed = reduce(merge, layers)
        items = [changed if _name(item) == name else item for item in here.items] if found else [*here.items, changed]
    return replace(recipe, value={**recipe.mapping, "regularizers": replace(here, value=items)})


def _nested(path: list[str], value: Node) -> Node:
    for key in reversed(path):
        value = Node({key: value}, value.mark, value.mark)
    return value


def _named(node: Node) -> Node:
    """Return a component's mapping form."""
    return Node({"name": node}, node.mark, node.key) if isinstance(node.value, str) else node


def _name(node: Node) -> object:
    found = name_node(node)
    return None if found is None else found.value
