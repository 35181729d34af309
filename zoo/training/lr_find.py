"""The learning-rate range test: the loss of training while the rate rises step by step.

Smith, "Cyclical learning rates for training neural networks", WACV 2017.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from zoo.components import Component
from zoo.data.loader import Batch
from zoo.errors import NonFiniteError, ZooError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.training.device import repeatable
from zoo.training.experiment import Experiment, build
from zoo.training.loop import optimize, set_mode
from zoo.training.progress import Progress

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
FEWEST = 10  # points that a curve wants
_MEMORY = 0.8  # share of the old average of the loss at each step
_DIVERGED = 4.0  # times the best averaged loss
_WINDOW = 64  # losses that an average is of; older ones weigh less than a millionth
_REACH = 2
_SETTLING = 5  # points at the start that average too few batches to have a slope

End = Literal["highest rate", "diverged", "not finite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a range test saw: `losses` of the batches and their running average `smoothed`, one for each of `rates`.

    `setting` is the recipe's setting of the rate, as `optimizer.lr`, or None where there is none, and `current` its value.
    `steepest` is the rate at which the average falls fastest over the logarithm of the rate, and is recommended; `tenth` a
    tenth of the rate where that fall ends; both None where the loss never fell. `ended` says why the rate did not rise further.
    """

    recipe: str
    setting: str | None
    current: float
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    steepest: float | None
    tenth: float | None
    ended: End
    notes: tuple[str, ...]


def sweep(
    recipe: Recipe,
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
    device: str = "auto",
    catalog: Catalog | None = None,
) -> Sweep:
    """Train on batches of train, as often around as it takes, with a rate that rises from `lowest` to `highest`.

    The rate takes the place of the recipe's schedule; groups keep their ratios to it. It ends early where the averaged loss
    is four times its best, or not finite. Nothing is written, and neither validation nor test is looked at. Raises ZooError
    for bounds that do not rise and for a loss that is not finite from the start, and whatever building raises.
    """
    _check(lowest, highest, steps)
    # Files are decoded batch by batch: a few batches of train are wanted, and none of validation.
    streamed = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, memory_limit=0))
    x = build(streamed, device=device, catalog=catalog)
    setting = rate_setting(recipe.optimizer)
    current = setting[1] if setting is not None else float(x.optimizer.param_groups[0]["initial_lr"])
    rates = [lowest * (highest / lowest) ** (i / (steps - 1)) for i in range(steps)]
    with closing(x.train), repeatable(recipe.training, recipe.training.threads or torch.get_num_threads()):
        losses, ended = _losses(x, [rate / current for rate in rates])
    if len(losses) < FEWEST:
        raise ZooError(
            f"the loss is {'not finite' if ended == 'not finite' else 'four times its best'} after {len(losses)} steps,"
            f" at a rate of {rates[len(losses) - 1]:.2g}",
            hint=f"--from {lowest / 1000:.0e}",
        )
    smoothed = average(losses)
    steepest, tenth = suggest(rates[: len(losses)], smoothed)
    return Sweep(
        recipe=recipe.name,
        setting=None if setting is None else setting[0],
        current=current,
        rates=tuple(rates[: len(losses)]),
        losses=tuple(losses),
        smoothed=tuple(smoothed),
        steepest=steepest,
        tenth=tenth,
        ended=ended,
        notes=x.notes,
    )


def rate_setting(optimizer: Component[Any], path: str = "optimizer") -> tuple[str, float] | None:
    """Return the path of the setting that holds the rate, which may be that of a component inside, and its value."""
    rate = getattr(optimizer.params, "lr", None)
    if isinstance(rate, (int, float)):
        return f"{path}.lr", float(rate)
    for name in optimizer.params.__struct_fields__:
        inner = getattr(optimizer.params, name)
        found = rate_setting(inner, f"{path}.{name}") if isinstance(inner, Component) else None
        if found is not None:
            return found
    return None


def average(losses: Sequence[float]) -> list[float]:
    """Return the exponential average after each loss, without the pull of its start towards nought."""
    kept = accumulate(losses, lambda old, loss: _MEMORY * old + (1 - _MEMORY) * loss, initial=0.0)
    return [value / (1 - _MEMORY**count) for count, value in enumerate(kept) if count]


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the rate of the steepest descent and a tenth of that of the minimum where it ends; None, None without a fall."""
    lowest = _end_of_fall(smoothed)
    slopes = _slopes(np.log(rates), np.array(smoothed))[_SETTLING : lowest + 1]
    if not len(slopes) or slopes.min() >= 0:
        return None, None
    return float(rates[_SETTLING + int(np.argmin(slopes))]), float(rates[lowest] / 10)


def _slopes(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return at each point the slope between its neighbours `_REACH` points away; single batches are noise."""
    places = np.arange(len(up))
    before, after = np.maximum(places - _REACH, 0), np.minimum(places + _REACH, len(up) - 1)
    slopes: np.ndarray = (up[after] - up[before]) / (across[after] - across[before])
    return slopes


def _end_of_fall(smoothed: Sequence[float]) -> int:
    """Return where the first long fall ends: past half of the whole fall, before a rise by a tenth of it.

    After that rise rates are too high, and a loss that comes down again, sometimes steeply, says nothing of them.
    """
    lowest = int(np.argmin(smoothed))
    start = max(smoothed[: lowest + 1])
    whole, best = start - smoothed[lowest], 0
    for index, loss in enumerate(smoothed):
        if loss < smoothed[best]:
            best = index
        if start - smoothed[best] >= whole / 2 and loss - smoothed[best] > whole / 10:
            return best
    return lowest


def _losses(x: Experiment, scales: Sequence[float]) -> tuple[list[float], End]:
    """Return the loss before each step, groups' own rates times its scale, and why it ended."""
    progress, losses, best = Progress(x.device), list[float](), math.inf
    set_mode(x, training=True)
    for scale, (epoch, batch) in zip(scales, _endless(x), strict=False):
        for group in x.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale
        progress.epoch = epoch
        try:
            optimize(x, progress, batch)
        except NonFiniteError:
            return losses, "not finite"
        loss = float(progress.loss) / progress.seen
        if not math.isfinite(loss):
            return losses, "not finite"
        progress.step += 1
        progress.forget_sums()
        losses.append(loss)
        smoothed = average(losses[-_WINDOW:])[-1]
        best = min(best, smoothed)
        if smoothed > _DIVERGED * best:
            return losses, "diverged"
    return losses, "highest rate"


def _endless(x: Experiment) -> Iterator[tuple[int, Batch]]:
    weights = x.regularizers.sample_weights(torch.from_numpy(x.dataset.splits["train"].labels))
    epoch = 0
    while True:
        for batch in x.train.training(x.recipe.training.seed, epoch, 0, weights):
            yield epoch, batch
        epoch += 1


def _check(lowest: float, highest: float, steps: int) -> None:
    if not 0 < lowest < highest < math.inf:
        raise ZooError(
            f"the rate rises from {lowest:g} to {highest:g}, which must be above 0 and in this order",
            hint=f"--from {LOWEST:g} --to {HIGHEST:g}",
        )
    if steps < FEWEST:
        raise ZooError(f"a curve wants {FEWEST} steps or more, got {steps} instead", hint=f"--steps {STEPS}")
