"""`zoo predict`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.command import Command
from zoo.cli.completion import complete_run
from zoo.cli.evaluate import tta_option
from zoo.cli.workspace import Workspace
from zoo.console.output import print_json, print_note, print_result, working
from zoo.data.formats import is_hidden, is_image
from zoo.errors import DataError, ZooError
from zoo.guard import stdout_on_stderr

if TYPE_CHECKING:
    from zoo.evaluation.classifier import Prediction

NONE, SOME_NOT = 2, 3  # exit status where files could not be classified


@click.command("predict", cls=Command)
@click.argument("run", shell_complete=complete_run)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|FOLDER...")
@click.option(
    "--top", type=click.IntRange(1), default=1, show_default=True, metavar="K", help="How many classes to give."
)
@tta_option
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@click.pass_obj
def predict(
    workspace: Workspace,
    run: str,
    images: tuple[Path, ...],
    top: int,
    tta: int,
    device: str,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Classify images with RUN: a path, a name under runs/, or latest. Folders are searched for images.

    Of a file that does not decode, "error" says why. Exit status: 0 every file is classified, 3 some are not, 2 none is.
    """
    if as_json and as_csv:
        raise ZooError("--json and --csv exclude each other", hint="leave one out")
    paths = _paths(images)
    from zoo.console.results import predictions, write_csv

    with stdout_on_stderr(), working(f"classifying {len(paths):,} images …"):
        from zoo.evaluation.classifier import load
        from zoo.training.run import find_run

        classifier = load(find_run(run), device=device, catalog=workspace.catalog)
        rows = [_row(prediction) for prediction in classifier.predict(paths, top=top, tta=tta)]
    if as_json:
        print_json(rows)
    elif as_csv:
        write_csv(sys.stdout, rows, min(top, len(classifier.classes)))
    else:
        print_result(predictions(rows))
    bad = sum(row["error"] is not None for row in rows)
    if bad:
        print_note(f"{bad:,} of {len(rows):,} files could not be classified")
    return 0 if not bad else NONE if bad == len(rows) else SOME_NOT


def _paths(images: Sequence[Path]) -> list[Path]:
    """Return the files asked for, folders replaced by the images in them; raises DataError for a path that is not there."""
    paths: list[Path] = []
    for path in images:
        if not path.exists():
            raise DataError(f"there is no file or folder {path}", hint="zoo predict RUN IMAGE|FOLDER…")
        found = sorted(_images_in(path)) if path.is_dir() else [path]
        if not found:
            raise DataError(f"folder {path} holds no images", hint="name a folder with images, or the files themselves")
        paths += found
    return paths


def _images_in(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in files:
            path = Path(place, name)
            if not is_hidden(name) and _may_be_image(path):
                yield path


def _may_be_image(path: Path) -> bool:
    try:
        return is_image(path)
    except OSError:  # the decoder says why the file cannot be read
        return True


def _row(prediction: Prediction) -> dict[str, Any]:
    path = prediction.path.encode(errors="backslashreplace").decode()  # a name may hold bytes that are not UTF-8
    if prediction.error is not None:
        why = prediction.error.encode(errors="backslashreplace").decode()
        return {"path": path, "class": None, "probability": None, "top": [], "error": why}
    top = [{"class": name, "probability": probability} for name, probability in prediction.top]
    found = {"class": prediction.class_name, "probability": prediction.probability, "top": top}
    return {"path": path, **found, "error": None}
