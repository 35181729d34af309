"""`zoo plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from zoo.cli.command import Group
from zoo.cli.workspace import Workspace
from zoo.components import KINDS, ArchitectureSpec
from zoo.console.listing import Row
from zoo.console.output import print_json, print_result, working
from zoo.console.plugins import PluginCard, checks_table, next_commands, plugin_card, plugin_listing
from zoo.errors import UnknownNameError, ZooError
from zoo.guard import stdout_on_stderr
from zoo.loading import find
from zoo.plugins import Catalog, Entry, Plugin, load_catalog


@click.group("plugin", cls=Group, invoke_without_command=True)
@click.pass_context
def plugin(ctx: click.Context) -> None:
    """List, show, create and check plugins."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of plugins, without importing one."""
    workspace = ctx.find_object(Workspace) or Workspace()
    try:
        names = {candidate.plugin.name for candidate in find(workspace.plugins_dir)}
    except ZooError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))


@plugin.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def list_plugins(workspace: Workspace, as_json: bool) -> None:
    """List every plugin, with its state and why one is not used."""
    plugins = _catalog(workspace).plugins
    if as_json:
        print_json(plugins)
    else:
        print_result(plugin_listing(plugins))


@plugin.command("show")
@click.argument("name", shell_complete=_complete)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, a list of one entry per distribution."
)
@click.pass_obj
def show_plugin(workspace: Workspace, name: str, as_json: bool) -> None:
    """Show the plugin NAME in full: where it is from, its state, its components and recipes.

    Where two distributions claim the name, both are shown.
    """
    catalog = _catalog(workspace)
    cards = [_card(catalog, each) for each in catalog.plugins if each.name == name]
    if not cards:
        raise UnknownNameError("plugin", name, [each.name for each in catalog.plugins], hint="zoo plugin list")
    if as_json:
        print_json([_document(card) for card in cards])
        return
    for index, card in enumerate(cards):
        print_result(*([""] if index else []), plugin_card(card))


@plugin.command("new")
@click.argument("name")
@click.option("--path", type=click.Path(path_type=Path), metavar="DIR", help="A new or empty folder; default zoo-NAME.")
def new_plugin(name: str, path: Path | None) -> None:
    """Write an installable package with one component of each kind, for you to change.

    NAME becomes the namespace of its components (acme/small-net), its distribution is called zoo-NAME.
    """
    from zoo.scaffold import write_package

    folder = write_package(name, path)
    print_result(next_commands(name, folder, sum(file.is_file() for file in folder.rglob("*"))))


@plugin.command("check")
@click.argument("name", shell_complete=_complete)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def check_plugin(workspace: Workspace, name: str, as_json: bool) -> int:
    """Run the conformance checks on every component of the plugin NAME; the exit status is 1 where one fails."""
    with stdout_on_stderr(), working(f"checking {name} …"):
        from zoo import testing

        results = testing.check_plugin(_catalog(workspace), name, workspace.plugins_dir)
    if as_json:
        print_json(results)
    else:
        print_result(checks_table(results))
    return 0 if all(result.passed for result in results) else 1


def _catalog(workspace: Workspace) -> Catalog:
    """Return the catalog without its complaints on stderr: these commands show them as results."""
    return load_catalog(workspace.plugins_dir, quiet=True)


def _card(catalog: Catalog, each: Plugin) -> PluginCard:
    return PluginCard(
        plugin=each,
        components=[_row(entry) for kind in KINDS for entry in catalog.entries(kind) if entry.plugin == each],
        recipes=[str(path) for owner, path in catalog.recipe_files() if owner == each],
    )


def _row(entry: Entry) -> Row:
    family = entry.spec.family if isinstance(entry.spec, ArchitectureSpec) else None
    origin = entry.provenance
    return Row(entry.kind, entry.name, family, entry.spec.summary, origin.plugin, origin.distribution, origin.version)


def _document(card: PluginCard) -> dict[str, Any]:
    return {**msgspec.structs.asdict(card.plugin), "components": card.components, "recipes": card.recipes}
