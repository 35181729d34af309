"""The table of `zoo list`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

TITLES = {
    "architecture": "Architectures",
    "optimizer": "Optimizers",
    "regularizer": "Regularizers",
    "acquisition": "Acquisition strategies",
    "data": "Data sources",
    "recipe": "Recipes",
}

NAME_WIDTH = 28  # leaves 80 columns enough for a summary; a longer name widens its own block, or folds


class Row(msgspec.Struct, frozen=True):
    """One component or recipe; a recipe of a registry file that no plugin ships has no plugin."""

    kind: str
    name: str
    family: str | None
    summary: str
    plugin: str | None
    distribution: str | None
    version: str | None


def listing(rows: Sequence[Row]) -> RenderableType:
    """Return rows, grouped by kind, as one block per kind; the columns line up from block to block."""
    width = min(NAME_WIDTH, max(len(row.name) for row in rows))
    blocks: list[RenderableType] = []
    for kind, group in groupby(rows, key=lambda row: row.kind):
        block = list(group)
        title = Text.assemble((TITLES[kind], "bold"), (f" ({len(block)})", "dim"))
        blocks += [title, _table(block, width), Text()]
    return Group(*blocks[:-1])


def _table(rows: Sequence[Row], width: int) -> Table:
    # The gap between columns is part of their text: rich's padding is a third of the time that `zoo list` takes to print.
    table = Table(box=None, show_header=False, padding=0)
    table.add_column(style="cyan", min_width=width + 4, overflow="fold")
    with_family = any(row.family for row in rows)
    if with_family:
        table.add_column(style="magenta", no_wrap=True)
    table.add_column()
    for row in rows:
        family = [f"{row.family or ''}  "] if with_family else []
        table.add_row(f"  {row.name}  ", *family, row.summary)
    return table
