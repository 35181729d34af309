"""`zoo data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.command import Group
from zoo.cli.completion import complete_recipe
from zoo.cli.workspace import Workspace
from zoo.console.data import sheet_card
from zoo.console.output import print_json, print_note, print_result, working
from zoo.errors import RunError, ZooError
from zoo.guard import stdout_on_stderr
from zoo.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.data.dataset import Dataset, Split
    from zoo.data.sheet import Row

    Sheet = tuple[
        Dataset, list[Row], tuple[str, ...] | None, dict[str, Any]
    ]  # titles of the views, what there is to say


@click.group("data", cls=Group, invoke_without_command=True)
@click.pass_context
def data(ctx: click.Context) -> None:
    """Look at the data that recipes train on."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@data.command("show")
@click.argument("recipe", metavar="RECIPE|PATH", shell_complete=complete_recipe)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data", "source", metavar="PATH|SOURCE", help="Show this data instead of the recipe's.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="sheet.png",
    show_default=True,
    metavar="FILE",
    help="Where the picture is written, a PNG.",
)
@click.option("--samples", type=click.IntRange(1, 200), default=8, show_default=True, metavar="N", help="Rows.")
@click.option(
    "--views", type=click.IntRange(0, 50), default=7, show_default=True, metavar="N", help="Augmented views in a row."
)
@click.option("--corruptions", is_flag=True, help="Show them under every corruption instead, not augmented.")
@click.option(
    "--severity", type=click.IntRange(1, 5), metavar="N", help="With --corruptions: how strong they are; 3 of 1 … 5."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def show_data(
    workspace: Workspace,
    recipe: str,
    overrides: tuple[str, ...],
    source: str | None,
    out: Path,
    samples: int,
    views: int,
    corruptions: bool,
    severity: int | None,
    as_json: bool,
) -> None:
    """Draw training images of RECIPE and their augmented views, as the model sees them, on one sheet.

    A PATH is shown as the first recipe of the registry would train on it. KEY=VALUE changes one setting, like
    augmentation.rotation=30. View n is that of epoch n.
    """
    _check(out)
    if severity is not None and not corruptions:
        raise ZooError(
            "--severity is that of corruptions", hint=f"zoo data show {recipe} --corruptions --severity {severity}"
        )
    with stdout_on_stderr():  # what recognises data may be a plugin's
        resolved = _resolve(workspace, recipe, overrides, source)
        with working("reading the data …"):
            sheet = (
                _corrupted(resolved, samples, severity or 3) if corruptions else _augmented(resolved, samples, views)
            )
            result = _write(resolved, out, sheet)
    if as_json:
        print_json(result)
    else:
        print_result(sheet_card(result))


def _check(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise ZooError(f"the sheet is a PNG, and {out} is not called so", hint=f"--out {out.with_suffix('.png').name}")
    if not out.absolute().parent.is_dir():
        raise ZooError(f"there is no folder {out.parent}", hint="make it, or choose another place with --out FILE")


def _resolve(workspace: Workspace, name: str, overrides: tuple[str, ...], source: str | None) -> Recipe:
    registry = workspace.registry
    if name in registry.names() or not _exists(name):
        return registry.resolve(name, overrides, data=source)
    if source is not None:
        raise ZooError(f"{name} is a path, and --data {source} names other data", hint=f"zoo data show {name}")
    first = registry.names()[0]
    print_note(f"{name} with the augmentation of recipe {first}")
    return registry.resolve(first, overrides, data=name)


def _exists(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _augmented(recipe: Recipe, samples: int, views: int) -> Sheet:
    from zoo.data import sheet
    from zoo.data.augment import Preprocess
    from zoo.training.reading import prepare_data

    dataset = prepare_data(recipe, measured=sheet.MEASURED)
    preprocess = Preprocess(
        dataset.mean,
        dataset.std,
        recipe.augmentation,
        cropped=dataset.crop(recipe.augmentation) is not None,
        arrangement=recipe.data.arrangement,
    )
    rows = sheet.rows(dataset, preprocess, seed=recipe.training.seed, samples=samples, views=views)
    return dataset, rows, None, {"views": views}


def _corrupted(recipe: Recipe, samples: int, severity: int) -> Sheet:
    import torch

    from zoo.data import sheet
    from zoo.evaluation.corruptions import applicable, corrupt
    from zoo.training.reading import prepare_data

    dataset = prepare_data(recipe, measured=sheet.MEASURED)
    names = applicable(dataset.dtype, dataset.size[0])

    def corrupted(split: Split) -> list[Tensor]:
        images, positions = torch.from_numpy(split.pixels(dataset.size, 0)), torch.from_numpy(split.samples)
        return [corrupt(images, name, severity, positions) for name in names]

    rows = sheet.rows_with(dataset, corrupted, samples=samples)
    return dataset, rows, names, {"corruptions": list(names), "severity": severity}


def _write(recipe: Recipe, out: Path, shown: Sheet) -> dict[str, Any]:
    from zoo import storage
    from zoo.data import sheet

    dataset, rows, titles, facts = shown
    try:
        storage.write_bytes(out, sheet.draw(rows, titles))
    except RunError as error:
        raise ZooError(error.problem, hint="choose another place with --out FILE") from error
    return {
        "path": str(out),
        "recipe": recipe.name,
        "samples": len(rows),
        **facts,
        "size": list(dataset.size),
        "classes": [row.class_name for row in rows],
        "notes": list(dataset.notes),
    }
