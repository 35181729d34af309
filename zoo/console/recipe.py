"""What `zoo show` prints of a recipe: each value, and who set it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoo.recipe import Recipe
from zoo.wording import in_yaml

DEFAULTS = frozenset({"default", "plugin default"})


def recipe_card(recipe: Recipe) -> RenderableType:
    """Return the resolved recipe as a table of keys, values and origins; what nobody set is dim."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("setting", style="cyan", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("set by", overflow="fold")
    for depth, key, value, path in _lines(recipe.to_dict(), 0, ""):
        origin = recipe.origins.get(path, "" if value is None else "default")
        style = "dim" if origin in DEFAULTS else ""
        table.add_row("  " * depth + key, Text("" if value is None else in_yaml(value), style), Text(origin, style))
    notes = [Text(note, style="dim") for note in recipe.notes]
    return Group(Text.assemble((recipe.name, "bold cyan"), "  recipe"), Text(), table, *notes)


def _lines(value: dict[str, Any], depth: int, prefix: str) -> Iterator[tuple[int, str, Any, str]]:
    """Yield (depth, key, value, dotted path); the value of a block is None, its content follows."""
    for key, item in value.items():
        path = f"{prefix}{key}"
        if key == "regularizers" and isinstance(item, list):
            item = {part["name"]: {name: v for name, v in part.items() if name != "name"} for part in item}
        if isinstance(item, dict):
            yield depth, key, None, path
            yield from _lines(item, depth + 1, f"{path}.")
        else:
            yield depth, key, item, path
