"""What `zoo data` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from zoo.console.results import grid


def sheet_card(result: Mapping[str, Any]) -> RenderableType:
    """Return where a contact sheet was written, and what it shows."""
    table = grid()
    table.add_row("written", Text(result["path"], "cyan"))
    views = f", {result.get('views')} views each"
    if "severity" in result:
        views = f" under {len(result['corruptions'])} corruptions of severity {result['severity']}"
    table.add_row("images", f"{result['samples']} of train{views}")
    table.add_row("size", "{}×{} pixels".format(*result["size"]))
    table.add_row("recipe", result["recipe"])
    for number, note in enumerate(result["notes"]):
        table.add_row("" if number else "data", Text(note))
    return table
