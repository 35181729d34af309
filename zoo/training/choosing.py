"""Settings of a head chosen on validation before a run: every combination of the search block's choices trains one."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from itertools import product
from typing import Any

from msgspec.structs import replace

from zoo.errors import DataError, NonFiniteError
from zoo.recipe import Recipe
from zoo.settings import with_setting
from zoo.training.events import EpochDone, Evaluating
from zoo.training.experiment import Experiment, with_recipe
from zoo.training.loop import fit
from zoo.training.progress import Progress, improves, monitored

Values = dict[str, Any]
FEW = 50  # images, on which one more right answer is two percent


def combinations(recipe: Recipe) -> list[Values]:
    """Return every combination of the choices of the recipe's search block."""
    choices = {path: values.choices for path, values in recipe.search.items() if values.choices}
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def choose(x: Experiment) -> Generator[Evaluating, None, tuple[Recipe, str]]:
    """Train a head for each combination; yield progress, and return the recipe with the best and what was seen in words.

    The best is the one whose best epoch is best by the metric that the recipe keeps the best epoch by; ties go to the lower loss
    on validation, then to the earlier combination. Test is not read.
    """
    yield from x.begin_epoch(0)  # the embeddings, which all heads share
    found: list[tuple[float, float, Values]] = []
    diverged: list[Values] = []
    candidates = combinations(x.recipe)
    for done, values in enumerate(candidates):
        yield Evaluating(split="heads to choose from", done=done, total=len(candidates))
        try:
            found.append((*_trained(x, _with(x.recipe, values)), values))
        except (NonFiniteError, DataError):
            diverged.append(values)
    if not found:
        raise NonFiniteError("every head to choose from diverged", hint="lower choices of optimizer.lr in search")
    metric = monitored(x.recipe)
    sign = 1.0 if improves(metric, 1.0, 0.0) else -1.0
    _, _, best = min(found, key=lambda row: (-sign * row[0], row[1]))
    words = [f"{_words(values)}: {value:.4g}" for value, _, values in found]
    seen = "; ".join([*words, *(f"{_words(values)}: diverged" for values in diverged)])
    recipe = _with(x.recipe, best)
    assert recipe.freeze is not None
    recipe = replace(recipe, freeze=replace(recipe.freeze, choose=False))
    count = len(x.dataset.splits["validation"])
    few = f", on {count} images only: data.validation_fraction=0.3 cuts more" if count < FEW else ""
    return recipe, f"{_words(best)} chosen by {metric}{few} ({seen})"


def _trained(x: Experiment, recipe: Recipe) -> tuple[float, float]:
    """Return the best value of the monitored metric, and the validation loss of that epoch."""
    metric, freeze = monitored(recipe), recipe.freeze
    assert freeze is not None
    last, recipe = freeze.unfreeze_after, replace(recipe, freeze=replace(freeze, unfreeze_after=None))
    best: Mapping[str, float] | None = None
    for event in fit(with_recipe(x, recipe, copy.deepcopy(x.model)), Progress(x.device)):
        if not isinstance(event, EpochDone):
            continue
        if event.best:
            best = event.metrics
        if event.epoch == last:  # from here on everything would be trained
            break
    assert best is not None
    return best[metric], best["validation/loss"]


def _with(recipe: Recipe, values: Values) -> Recipe:
    for path, value in values.items():
        recipe = with_setting(recipe, path, value)
    return recipe


def _words(values: Values) -> str:
    return ", ".join(f"{path.removeprefix('regularizers.')} {value}" for path, value in values.items())
