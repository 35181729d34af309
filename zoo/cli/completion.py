"""What the shell offers after Tab. A broken registry or plugin offers nothing and says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from zoo.errors import ZooError


def complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the kinds of things that `zoo list` lists."""
    from zoo.console.listing import TITLES

    return _starting(incomplete, TITLES)


def complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of recipes."""
    return _starting(incomplete, _recipes(ctx))


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of recipes and components."""
    from zoo.cli.workspace import Workspace

    workspace = ctx.find_object(Workspace) or Workspace()
    return _starting(incomplete, (*_recipes(ctx), *(entry.name for entry in workspace.catalog.entries())))


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the runs in ./runs."""
    folder = Path("runs")
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return _starting(incomplete, ("latest", *names))


def _recipes(ctx: click.Context) -> tuple[str, ...]:
    from zoo.cli.workspace import Workspace

    try:
        return (ctx.find_object(Workspace) or Workspace()).registry.names()
    except ZooError:
        return ()


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
