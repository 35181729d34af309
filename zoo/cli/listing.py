"""`zoo list`."""

from __future__ import annotations

import fnmatch
from typing import get_args

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_kind
from zoo.cli.workspace import Workspace
from zoo.components import ArchitectureSpec
from zoo.console.listing import TITLES, Row, listing
from zoo.console.output import print_json, print_note, print_result
from zoo.errors import UnknownNameError
from zoo.facts import Family
from zoo.plugins import Entry

ALL_KINDS = tuple(TITLES)


@click.command("list", cls=Command)
@click.argument("kind", required=False, shell_complete=complete_kind)
@click.option(
    "--filter", "pattern", metavar="PATTERN", help="Only names that contain this, or match it as a glob (res*)."
)
@click.option("--family", type=click.Choice(get_args(Family)), help="Only architectures of this family.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def list_components(
    workspace: Workspace, kind: str | None, pattern: str | None, family: str | None, as_json: bool
) -> None:
    """List components and recipes.

    KIND is architecture, optimizer, regularizer, acquisition, data or recipe; all of them where it is left out.
    """
    kinds = _kinds(kind, family)
    rows = [row for row in _rows(workspace, kinds) if _matches(row, pattern) and family in (None, row.family)]
    if as_json:
        print_json(rows)
    elif rows:
        print_result(listing(rows))
    if not rows:
        print_note("nothing matches")
    if "recipe" in kinds and workspace.registry.faults:
        print_note("\n  ".join(["recipes that cannot be used:", *map(str, workspace.registry.faults)]))


def canonical_kind(text: str) -> str:
    """Return the kind that a singular or plural names; raises UnknownNameError."""
    singular = text.removesuffix("s").replace("data-source", "data")
    if singular not in ALL_KINDS:
        raise UnknownNameError("kind", text, ALL_KINDS, hint="zoo list recipe")
    return singular


def _kinds(kind: str | None, family: str | None) -> tuple[str, ...]:
    if kind is not None:
        return (canonical_kind(kind),)
    return ("architecture",) if family is not None else ALL_KINDS


def _rows(workspace: Workspace, kinds: tuple[str, ...]) -> list[Row]:
    rows = [_row(entry) for entry in workspace.catalog.entries() if entry.kind in kinds]
    rows.sort(key=lambda row: ALL_KINDS.index(row.kind))
    if "recipe" not in kinds:
        return rows
    listed = workspace.registry.listed()
    return rows + [Row("recipe", r.name, None, r.summary, r.plugin, r.distribution, r.version) for r in listed]


def _row(entry: Entry) -> Row:
    family = entry.spec.family if isinstance(entry.spec, ArchitectureSpec) else None
    plugin = entry.plugin
    return Row(entry.kind, entry.name, family, entry.spec.summary, plugin.name, plugin.distribution, plugin.version)


def _matches(row: Row, pattern: str | None) -> bool:
    if pattern is None:
        return True
    glob = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    return fnmatch.fnmatchcase(row.name.lower(), glob.lower())
