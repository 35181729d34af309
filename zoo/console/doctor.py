"""What `zoo doctor` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `hint` says what to type where it is not ok."""

    name: str
    value: str
    ok: bool = True
    hint: str = ""


def checks_table(checks: Sequence[Check]) -> RenderableType:
    """Return one row per check, marked where it needs care."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        mark = Text("✓", "green") if check.ok else Text("✗", "bold red")
        value = Text(check.value, "" if check.ok else "red")
        if check.hint:
            value.append(f"\ntry: {check.hint}", "cyan")
        table.add_row(mark, check.name, value)
    return table
