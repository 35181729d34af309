"""What the shell offers after Tab. A broken registry or plugin offers nothing and says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.cli.workspace import Workspace


def complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the kinds of things that `zoo list` lists."""
    from zoo.console.listing import TITLES

    return _starting(incomplete, TITLES)


def complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of recipes."""
    return _starting(incomplete, _recipes(ctx))


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of recipes and components."""
    return _starting(incomplete, (*_recipes(ctx), *(entry.name for entry in _quiet(ctx).catalog.entries())))


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the runs in ./runs."""
    folder = Path("runs")
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return _starting(incomplete, ("latest", *names))


def _recipes(ctx: click.Context) -> tuple[str, ...]:
    try:
        return _quiet(ctx).registry.names()
    except ZooError:
        return ()


def _quiet(ctx: click.Context) -> Workspace:
    """Return the workspace of the options so far, which complains of nothing."""
    from zoo.cli.workspace import Workspace

    found = ctx.find_object(Workspace) or Workspace()
    return Workspace(found.registry_file, found.plugins_dir, quiet=True)


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
