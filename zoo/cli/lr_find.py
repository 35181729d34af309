"""`zoo lr-find`."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_recipe
from zoo.cli.train import device_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, stdout, working
from zoo.errors import RunError, ZooError
from zoo.guard import stdout_on_stderr
from zoo.recipe import Recipe

if TYPE_CHECKING:
    from zoo.training.lr_find import Sweep


@click.command("lr-find", cls=Command)
@click.argument("recipe", shell_complete=complete_recipe)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", metavar="PATH|SOURCE", help="Use this data instead of the recipe's.")
@click.option("--from", "lowest", type=float, default=1e-6, show_default=True, metavar="RATE", help="First rate.")
@click.option("--to", "highest", type=float, default=10.0, show_default=True, metavar="RATE", help="Last rate.")
@click.option("--steps", type=int, default=100, show_default=True, metavar="N", help="Batches from one to the other.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Also draw the curve in this SVG file.")
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def lr_find(
    workspace: Workspace,
    recipe: str,
    overrides: tuple[str, ...],
    data: str | None,
    lowest: float,
    highest: float,
    steps: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Find a learning rate for RECIPE: train on some batches while the rate rises, and see where the loss falls fastest.

    No run is made, and neither validation nor test is looked at. KEY=VALUE changes one setting, like optimizer=adamw. Smith,
    WACV 2017.
    """
    if out is not None:
        _check(out)
    with stdout_on_stderr():  # what recognises data may be a plugin's
        resolved = workspace.registry.resolve(recipe, overrides, data=data)
        with working(f"raising the learning rate over {steps} batches …"):
            from zoo.training.lr_find import sweep

            result = sweep(
                resolved, lowest=lowest, highest=highest, steps=steps, device=device, catalog=workspace.catalog
            )
        if out is not None:
            _draw(result, out)
    for note in result.notes:
        print_note(note)
    _report(result, _next(result, resolved, overrides, data), out, as_json)


def _check(out: Path) -> None:
    if out.suffix.lower() != ".svg":
        raise ZooError(
            f"the curve is drawn as SVG, and {out} is not called so", hint=f"--out {out.with_suffix('.svg')}"
        )
    if not out.absolute().parent.is_dir():
        raise ZooError(f"there is no folder {out.parent}", hint="make it, or choose another place with --out FILE")


def _draw(result: Sweep, out: Path) -> None:
    from zoo import storage
    from zoo.console.lr_plot import svg

    try:
        storage.write_text(out, svg(result))
    except RunError as error:
        raise ZooError(error.problem, hint="choose another place with --out FILE") from error


def _next(result: Sweep, recipe: Recipe, overrides: tuple[str, ...], data: str | None) -> str | None:
    """Return the command that trains with the recommended rate; None where there is none, or no setting of the rate."""
    if result.steepest is None or result.setting is None:
        return None
    kept = [override for override in overrides if not override.startswith(f"{result.setting}=")]
    where = [] if data is None else ["--data", data]
    return shlex.join(["zoo", "train", recipe.name, *kept, f"{result.setting}={result.steepest:.2g}", *where])


def _report(result: Sweep, command: str | None, out: Path | None, as_json: bool) -> None:
    path = None if out is None else str(out)
    if as_json:
        print_json({**dataclasses.asdict(result), "command": command, "path": path})
        return
    from zoo.console.lr_find import lr_card, next_step

    print_result(lr_card(result, path))
    if command is not None:
        stdout().print(next_step(command), soft_wrap=True)
