"""What a recipe is, in one line that no other recipe has: made from its blocks, before any of them is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from zoo.registry.documents import Node
from zoo.registry.merging import name_node
from zoo.wording import in_yaml

LEAVES_SHOWN = 3


def summaries(recipes: Mapping[str, Node]) -> dict[str, str]:
    """Return a line about each recipe, by name, from its merged blocks.

    It says the network, the data, the optimizer and the weights; regularizers, augmentation, schedule and single settings
    only where they tell recipes apart that are alike so far.
    """
    lines = {name: _head(recipe) for name, recipe in recipes.items()}
    for fact in (_regularizers, _augmentation, _schedule):
        for names in _alike(lines):
            _append(lines, {name: fact(recipes[name]) for name in names})
    for names in _alike(lines):
        _append(lines, _differences({name: recipes[name] for name in names}))
    return lines


def _alike(lines: Mapping[str, str]) -> list[list[str]]:
    """Return the names of recipes that share a line, group by group."""
    groups: dict[str, list[str]] = {}
    for name, line in lines.items():
        groups.setdefault(line, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _append(lines: dict[str, str], facts: Mapping[str, str]) -> None:
    """Append a fact to each line, unless it is the same for all of them."""
    if len(set(facts.values())) > 1:
        lines.update({name: f"{lines[name]}; {fact}" if fact else lines[name] for name, fact in facts.items()})


def _head(recipe: Node) -> str:
    network, data, optimizer = (_component(recipe.mapping.get(key)) for key in ("architecture", "data", "optimizer"))
    weights, freeze = (recipe.mapping.get(key, Node(None, recipe.mark)) for key in ("weights", "freeze"))
    parts = [f"{network} on {data} with {optimizer}"]
    if weights.value is not None:
        parts.append(f"weights {in_yaml(_plain(weights))}")
    if freeze.value not in (None, "none"):
        thaw = freeze.mapping.get("unfreeze_after")
        parts.append("frozen" if thaw is None or thaw.value is None else f"frozen for {thaw.value} epochs")
    return ", ".join(parts)


def _component(node: Node | None) -> str:
    """Return a component's name, with those of its settings in brackets that are names, or components, themselves."""
    named = name_node(node) if node is not None else None
    if node is None or named is None:
        return "?"
    shown = {key: words for key, child in node.mapping.items() if key != "name" and (words := _words(child))}
    return f"{named.value}" + (f" ({', '.join(f'{key} {words}' for key, words in shown.items())})" if shown else "")


def _words(node: Node) -> str:
    if node.items:
        return ", ".join(filter(None, map(_words, node.items)))
    named = name_node(node)
    return str(named.value) if named is not None and named.value != "auto" else ""


def _regularizers(recipe: Node) -> str:
    block = recipe.mapping.get("regularizers")
    names = [str(named.value) for item in block.items if (named := name_node(item))] if block is not None else []
    return ", ".join(names) or "no regularizers"


def _augmentation(recipe: Node) -> str:
    block = recipe.mapping.get("augmentation")
    used = {key: node for key, node in (block.mapping if block is not None else {}).items() if node.value}
    words = (node.value if key == "policy" else key.replace("_", " ") for key, node in used.items())
    return ", ".join(map(str, words)) or "no augmentation"


def _schedule(recipe: Node) -> str:
    block = recipe.mapping.get("schedule")
    named = name_node(block) if block is not None else None
    return f"{named.value if named is not None else 'constant'} schedule"


def _differences(recipes: Mapping[str, Node]) -> dict[str, str]:
    """Return for each recipe its first settings that are not the same in all of them."""
    settings = {name: dict(_leaves(recipe, "")) for name, recipe in recipes.items()}
    paths = dict.fromkeys(chain.from_iterable(settings.values()))
    differ = [path for path in paths if len({found.get(path) for found in settings.values()}) > 1]
    return {
        name: ", ".join(f"{path} {found[path]}" for path in [p for p in differ if p in found][:LEAVES_SHOWN])
        for name, found in settings.items()
    }


def _leaves(node: Node, path: str) -> Iterator[tuple[str, str]]:
    for key, child in node.mapping.items():
        yield from _leaves(child, f"{path}.{key}" if path else key)
    for item in node.items:
        named = name_node(item)
        yield from _leaves(item, f"{path}.{named.value}" if named is not None else path)
    if not node.mapping and not node.items:
        yield path, in_yaml(_plain(node))


def _plain(node: Node) -> object:
    return [] if isinstance(node.value, list) else {} if isinstance(node.value, dict) else node.value
