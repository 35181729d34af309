"""What `zoo plugin list`, `show`, `new` and `check` print."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from zoo.console.listing import Row, listing
from zoo.loading import LOCAL, Plugin

if TYPE_CHECKING:
    from zoo.testing import CheckResult

_STYLES = {"loaded": "green", "disabled": "yellow", "failed": "bold red", "conflict": "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginCard:
    """One plugin with what it announces: rows of components, and the registry files that hold its recipes."""

    plugin: Plugin
    components: Sequence[Row]
    recipes: Sequence[str]


def plugin_listing(plugins: Sequence[Plugin]) -> RenderableType:
    """Return two or more lines per plugin: who it is and how it fares, then hooks, location and error."""
    cells = [(p.name, p.state, p.distribution, p.version, _milliseconds(p)) for p in plugins]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    blocks: list[RenderableType] = []
    for plugin, row in zip(plugins, cells, strict=True):
        name, state, distribution, version, time = (cell.ljust(n) for cell, n in zip(row, widths, strict=True))
        heading = Text.assemble((name, "bold cyan"), "  ", (state, _STYLES[plugin.state]))
        blocks += [
            heading.append(f"  {distribution}  {version}  {time}".rstrip()),
            Padding(_details(plugin), (0, 0, 0, 4), expand=False),
        ]
    return Group(*blocks)


def plugin_card(card: PluginCard) -> RenderableType:
    """Return the page of a plugin: where it is from, its state, its components and its registry files."""
    plugin = card.plugin
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("state", Text(plugin.state, _STYLES[plugin.state]))
    if plugin.error:
        facts.add_row("not used", Text(plugin.error, "red"))
        facts.add_row("try", Text(remedy(plugin), "cyan"))
    facts.add_row("distribution", f"{plugin.distribution} {plugin.version}")
    facts.add_row("location", plugin.location)
    if plugin.hooks:
        facts.add_row("hooks", ", ".join(plugin.hooks))
    if plugin.milliseconds:
        facts.add_row("took", f"{_milliseconds(plugin)} to load")
    for index, path in enumerate(card.recipes):
        facts.add_row("recipes" if index == 0 else "", path)
    parts: list[RenderableType] = [Text.assemble((plugin.name, "bold cyan"), "  plugin"), facts]
    if card.components:
        parts += [Text(), listing(card.components)]
    return Group(*parts)


def remedy(plugin: Plugin) -> str:
    """Return what to do about a plugin that is not used."""
    if plugin.state == "disabled":
        return "unset ZOO_DISABLE_PLUGINS ZOO_PLUGINS"
    if plugin.version == LOCAL:
        return f"correct {plugin.location}, or move it out of the plugins folder"
    removal = f"pip uninstall {plugin.distribution}"
    return f"{removal}, or install a version that works" if plugin.state == "failed" else removal


def checks_table(results: Sequence[CheckResult]) -> RenderableType:
    """Return one row per check, grouped by component, the reason under each that failed, and a closing count."""
    blocks: list[RenderableType] = []
    for component, group in groupby(results, key=lambda result: result.component):
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        seen: set[str] = set()
        for result in group:
            table.add_row(*_verdict(result, repeated=result.detail in seen))
            seen.add(result.detail)
        blocks += [Text(component, "bold cyan"), table, Text()]
    failed = sum(not result.passed for result in results)
    return Group(
        *blocks, Text(f"{failed} of {len(results)} checks failed" if failed else f"all {len(results)} checks passed")
    )


def next_commands(name: str, folder: Path, files: int) -> RenderableType:
    """Return what `zoo plugin new` says: what was written, and the commands to type next."""
    place = shlex.quote(str(folder))
    lines = (f"pip install -e {place}", f"zoo plugin check {name}", f"zoo train {name}/digits")
    heading = Text.assemble("wrote ", (str(folder), "cyan"), f", an installable package of {files} files; next:")
    return Group(heading, *(Text(f"  {line}", "bold") for line in lines))


def _verdict(result: CheckResult, *, repeated: bool) -> tuple[Text, Text]:
    """Return mark and text of one check; a component that fails all checks for one reason says it once."""
    name = Text(result.check.replace("_", " "))
    if result.passed:
        return Text("  ✓ passed", "green"), name
    return Text("  ✗ failed", "bold red"), name.append("  (as above)" if repeated else f"\n{result.detail}", "red")


def _details(plugin: Plugin) -> RenderableType:
    parts = [Text(plugin.error, "red")] if plugin.error else []
    if plugin.hooks:
        parts.append(Text(", ".join(plugin.hooks)))
    return Group(*parts, Text(plugin.location, "dim", overflow="fold"))


def _milliseconds(plugin: Plugin) -> str:
    return f"{plugin.milliseconds:.1f} ms" if plugin.milliseconds else ""
