"""A run made of finished runs: their networks as the members of one ensemble, evaluated as at the end of a training."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from zoo import storage
from zoo.components import AcquisitionSpec, Component
from zoo.data.dataset import prepare
from zoo.errors import DataError, RunError
from zoo.nesting import inner
from zoo.plugins import Catalog
from zoo.recipe import Normalization, Recipe
from zoo.registry import recipe_document
from zoo.registry.conversion import MAX_DEPTH
from zoo.training.device import repeatable
from zoo.training.distributed import World
from zoo.training.events import Evaluating
from zoo.training.experiment import Experiment, build
from zoo.training.final import evaluate_split
from zoo.training.manifest import describe
from zoo.training.progress import monitored
from zoo.training.run import Run, claim_directory, new_directory, stored_recipe
from zoo.wording import few

Protocol = dict[str, tuple[Any, str]]  # what runs must have in common, each value also in words
Combine = Literal["probabilities", "logits"]
ENSEMBLE = "ensemble"  # the architecture whose parameters are `members` and `combine`, its networks in `members`


def combine(
    runs: Sequence[Run],
    *,
    catalog: Catalog,
    how: Combine = "probabilities",
    run: Path | None = None,
    device: str = "auto",
    progress: Callable[[Evaluating], None] | None = None,
) -> dict[str, Any]:
    """Make a finished run of the best weights of finished runs, trained apart, and return its summary.

    The recipe is the first run's with the architecture `ensemble`; what belongs to the training of a single network (`weights`,
    `freeze`, `distill`, `active`, `search`, `target`) is left out, and so is an acquisition that needs embeddings. `members` of the summary has the
    figures that each run ended with. Raises RunError for fewer than two runs, for one that is unfinished, named twice or nested
    too deep, and for runs that differ in classes, images, normalisation, data or loss; DataError where the data has changed since.
    """
    recipes = _checked(runs, catalog)
    recipe = _recipe(runs, recipes, catalog, how)
    new_directory(recipe.name, recipe.training.seed, run, trained=False)
    x = _experiment(runs, recipe, device)
    try:
        _fill(x, runs)
        made = Run(claim_directory(recipe.name, recipe.training.seed, run, trained=False))
        with made.locked():
            summary = _write(made, x, runs, recipes, progress)
    finally:
        x.close()
    catalog.notify("zoo_run_finished", run=made, summary=summary)
    return summary


def _write(
    made: Run,
    x: Experiment,
    runs: Sequence[Run],
    recipes: Sequence[Recipe],
    progress: Callable[[Evaluating], None] | None,
) -> dict[str, Any]:
    """Evaluate the ensemble, write everything that its run keeps, and return the summary."""
    began, training = time.monotonic(), x.recipe.training
    threads = training.threads or torch.get_num_threads()
    with repeatable(training, threads) as inexact:
        figures = _evaluated(x, made, progress)
    reasons = [*_inexact(runs), *inexact.reasons]
    seconds = round(time.monotonic() - began, 3)
    summary = {**_summary(made, runs, recipes, x.recipe, figures), "exact": not reasons, "seconds": seconds}
    manifest = {**describe(x, threads), "exact": not reasons, "inexact": reasons, "members": _origins(runs)}
    storage.write_json(made.path / "summary.json", summary)
    # The manifest is what makes a folder a run: it comes last, so that a run is there as a whole or not at all.
    storage.write_json(made.path / "manifest.json", manifest)
    return summary


def _checked(runs: Sequence[Run], catalog: Catalog) -> list[Recipe]:
    """Return the recipes of runs that fit together."""
    if len(runs) < 2:
        raise RunError(f"an ensemble needs two runs or more, got {len(runs)} instead", hint="zoo runs")
    places = [run.path.resolve() for run in runs]
    for place, run in zip(places, runs, strict=True):
        if places.count(place) > 1:
            raise RunError(f"{run.path} is named twice", possible="each run once", hint="zoo runs")
        if (status := run.status) != "finished":
            raise RunError(f"{run.path} is not finished: it is {status}", hint=f"zoo train --resume {run.path}")
    recipes = [stored_recipe(run, catalog) for run in runs]
    for run, recipe in zip(runs, recipes, strict=True):
        if (deep := _depth(recipe.architecture)) >= MAX_DEPTH:
            raise RunError(
                f"{run.path} is made of components {deep} deep already",
                possible=f"components stand at most {MAX_DEPTH} deep inside one another",
                hint="combine the runs that it was made of",
            )
    _compare(runs, recipes)
    return recipes


def _depth(component: Component[Any]) -> int:
    """Return 1 for a component without components inside it, one more for each layer of them."""
    return 1 + max(map(_depth, inner(component).values()), default=0)


def _compare(runs: Sequence[Run], recipes: Sequence[Recipe]) -> None:
    """Raise RunError with everything in which a run differs from the first."""
    first, *others = [_protocol(run, recipe) for run, recipe in zip(runs, recipes, strict=True)]
    wrong = [
        f"{what} {first[what][1]} in {runs[0].path}, {other[what][1]} in {run.path}"
        for what in first
        for run, other in zip(runs[1:], others, strict=True)
        if other[what][0] != first[what][0]
    ]
    if wrong:
        raise RunError(
            f"the runs do not fit together: {'; '.join(wrong)}",
            possible="runs with the same classes, images, normalisation, data, splits and loss",
            hint=_at_one_size(runs, recipes, first, others) or "zoo runs RUN",
        )


def _at_one_size(runs: Sequence[Run], recipes: Sequence[Recipe], first: Protocol, others: Sequence[Protocol]) -> str:
    """Return the command that trains a run anew with images as large as the largest, where they differ in nothing else.

    Smaller ones may be below an architecture's minimum. A normalisation that is measured follows the size.
    """
    sizes = [each["image size"][0] for each in (first, *others)]
    differing = {what for what in first for other in others if other[what][0] != first[what][0]}
    height, width = largest = max(sizes)
    if not {"image size"} <= differing <= {"image size", "normalisation"} or height != width:
        return ""
    index = next(index for index, size in enumerate(sizes) if size != largest)
    again = ["zoo", "--registry", str(runs[index].path / "recipe.yaml"), "train", recipes[index].name]
    return shlex.join([*again, f"data.image_size={height}"])


def _protocol(run: Run, recipe: Recipe) -> Protocol:
    """Return what members must have in common, each with its value in words."""
    manifest = run.manifest
    classes, data, scale = manifest["classes"], manifest["environment"]["data"], manifest["normalization"]
    channels, *size = manifest["image"]
    means, deviations = (", ".join(f"{value:.4g}" for value in scale[name]) for name in ("mean", "std"))
    return {
        "classes": (classes, f"({len(classes)}: {few(classes)})"),
        "image size": (size, "×".join(str(side) for side in size)),
        "channels": (channels, str(channels)),
        "type": (manifest["dtype"], manifest["dtype"]),
        "normalisation": (scale, f"(mean {means}, std {deviations})"),
        "data or splits": (data, data[:12]),
        "loss": (recipe.loss, recipe.loss),
    }


def _recipe(runs: Sequence[Run], recipes: Sequence[Recipe], catalog: Catalog, how: Combine) -> Recipe:
    """Return the first run's recipe with an ensemble of the runs' architectures in place of its own."""
    first, manifest = recipes[0], runs[0].manifest
    entry = catalog.find("architecture", ENSEMBLE)
    params: Any = entry.spec.params
    members = [recipe.architecture for recipe in recipes]
    _, height, width = manifest["image"]
    settings = {"normalization": Normalization(**manifest["normalization"])}
    if height == width:  # `auto` would ask another architecture for its size
        settings["image_size"] = height
    return msgspec.structs.replace(
        first,
        name=first.name if first.name.endswith(f"-{ENSEMBLE}") else f"{first.name}-{ENSEMBLE}",
        data=msgspec.structs.replace(first.data, **settings),
        architecture=Component(entry.spec, entry.name, params(members=members, combine=how), entry.provenance),
        acquisition=first.acquisition if _scores_outputs(first.acquisition) else None,
        weights=None,
        freeze=None,
        distill=None,
        search={},
        active=None,
        target=None,
    )


def _scores_outputs(acquisition: Component[Any] | None) -> bool:
    if acquisition is None:
        return False
    assert isinstance(acquisition.spec, AcquisitionSpec)
    return not {"embeddings", "labeled"} & acquisition.spec.needs_of(acquisition.params)


def _experiment(runs: Sequence[Run], recipe: Recipe, device: str) -> Experiment:
    """Return the experiment of the ensemble on the runs' data; without regularizers, which act in training only."""
    manifest = runs[0].manifest
    channels, *size = manifest["image"]
    dataset = prepare(
        recipe.data,
        recipe.source,
        min_size=1,
        preferred_size=None,
        architecture=recipe.architecture.name,
        classes=manifest["classes"],
        size=(size[0], size[1]),
        channels=channels,
    )
    if dataset.fingerprint != manifest["environment"]["data"]:
        raise DataError(
            f"the data of {runs[0].path} is not what it was trained on any more", hint="restore the data, or train anew"
        )
    plain = msgspec.structs.replace(recipe, regularizers=())
    x = build(plain, device=device, world=World(), dataset=dataset)
    x.recipe = recipe
    return x


def _fill(x: Experiment, runs: Sequence[Run]) -> None:
    """Give each member the weights that its run is evaluated with."""
    state: dict[str, Any] = {}
    for index, run in enumerate(runs):
        best = run.checkpoints.load_best()
        weights = best.get("evaluation", best["model"])
        state |= {f"members.{index}.{name}": value for name, value in weights.items()}
    try:
        x.model.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(f"the weights of the runs do not fit the members of the ensemble: {error}") from error


def _evaluated(x: Experiment, made: Run, progress: Callable[[Evaluating], None] | None) -> dict[str, Any]:
    """Write recipe and checkpoint, and return the figures of validation and, through the ledger, of test."""
    storage.write_text(made.path / "recipe.yaml", recipe_document(x.recipe))
    state = {"model": x.model.state_dict(), "classes": list(x.dataset.classes)}
    made.checkpoints.save(state, 0, best=True)
    figures: dict[str, Any] = {"validation": None, "test": None}
    for split in figures:
        if split in x.dataset.splits:
            steps = evaluate_split(x, made, split, purpose="zoo ensemble")
            figures[split] = _drive(steps, progress)
    return figures


def _drive(steps: Iterator[Evaluating], progress: Callable[[Evaluating], None] | None) -> Any:
    while True:
        try:
            event = next(steps)
        except StopIteration as stop:
            return stop.value
        if progress is not None:
            progress(event)


def _summary(
    made: Run, runs: Sequence[Run], recipes: Sequence[Recipe], recipe: Recipe, figures: dict[str, Any]
) -> dict[str, Any]:
    """Return the ensemble's summary: that of a training of no epochs, and the members with their own figures."""
    params: Any = recipe.architecture.params
    members = []
    for run, member in zip(runs, recipes, strict=True):
        ended = run.summary or {}
        members.append(
            {
                "run": str(run.path),
                "architecture": member.architecture.name,
                "seed": member.training.seed,
                "validation": ended.get("validation"),
                "test": ended.get("test"),
            }
        )
    return {
        "run": str(made.path),
        "status": "finished",
        "recipe": recipe.name,
        "combine": params.combine,
        "members": members,
        "epochs": 0,
        "steps": 0,
        "best": {"metric": monitored(recipe), "value": None, "epoch": 0},
        "stopped_early": False,
        **figures,
    }


def _inexact(runs: Sequence[Run]) -> list[str]:
    return [f"{run.path}: {reason}" for run in runs for reason in run.manifest["inexact"]]


def _origins(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return which checkpoints the weights came from, with the digests of their files."""
    return [run.origin for run in runs]
