"""What came of a study: its trials, the best of them, and how good the best of fewer would have been."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Literal

from zoo.recipe import Recipe
from zoo.training.progress import improves

FEW = 10  # complete trials, below which shares of variance are a guess
State = Literal["complete", "pruned", "failed", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial: the monitored figure of its best epoch, with that epoch's validation loss; None where there is none.

    `seconds` are those of its epochs, `reason` why it failed or was pruned. A trial that is running, or was stopped, is
    `running`.
    """

    number: int
    state: State
    value: float | None
    epoch: int | None
    loss: float | None
    seconds: float
    parameters: dict[str, Any]
    run: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A study as it stands.

    `best` is the complete trial of the best figure; ties go to the lower validation loss, then to the earlier trial. `expected`
    has, for k = 1, 2, …, the expected best figure of k trials. `importances` are shares of the figure's variance. `registry` is
    the file with the best trial's recipe, and `command` trains it.
    """

    recipe: str
    run: str
    metric: str
    sampler: str
    seed: int
    trials: tuple[Trial, ...]
    best: Trial | None
    importances: dict[str, float]
    expected: tuple[float, ...]
    registry: str | None
    command: str | None

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that ended: complete, pruned or failed."""
        return tuple(trial for trial in self.trials if trial.state != "running")

    @property
    def caution(self) -> str | None:
        """What is to be said of importances by few complete trials."""
        complete = sum(trial.state == "complete" for trial in self.trials)
        return f"a guess, from {complete} complete trials only" if self.importances and complete < FEW else None


def best_trial(trials: Sequence[Trial], metric: str) -> Trial | None:
    """Return the complete trial of the best figure, or None."""
    sign = 1.0 if improves(metric, 1.0, 0.0) else -1.0
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    return min(complete, key=lambda each: (-sign * (each.value or 0.0), each.loss or 0.0, each.number), default=None)


def expected_of(trials: Sequence[Trial], metric: str) -> tuple[float, ...]:
    """Return the expected best figure of 1, 2, …, n of the n trials that ended; nothing where none has a figure.

    A pruned trial counts with its best epoch so far, a failed one as the worst that was seen.
    """
    larger = improves(metric, 1.0, 0.0)
    values = [trial.value for trial in trials if trial.state != "running" and trial.value is not None]
    if not values:
        return ()
    failed = sum(trial.state != "running" for trial in trials) - len(values)
    return expected_best([*values, *[min(values) if larger else max(values)] * failed], larger=larger)


def expected_best(values: Sequence[float], *, larger: bool = True) -> tuple[float, ...]:
    """Return the mean, over all subsets of k of the n values, of the best in the subset, for k = 1, …, n.

    Expected validation performance: Dodge, Gururangan, Card, Schwartz and Smith, "Show Your Work: Improved Reporting of
    Experimental Results", EMNLP 2019. They draw the k with replacement, which is too low for k near n; without, as here, it is
    unbiased for trials drawn independently (Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020).
    """
    ranked = sorted(values, reverse=not larger)
    n = len(ranked)
    return tuple(
        sum(value * comb(place, k - 1) for place, value in enumerate(ranked)) / comb(n, k) for k in range(1, n + 1)
    )


def settings(recipe: Recipe, parameters: Mapping[str, Any]) -> list[str]:
    """Return the settings that give a recipe these parameters, and take its ranges away."""
    fixed = ["search=null"] if recipe.freeze is None else ["search=null", "freeze.choose=false"]
    return [*(f"{path}={json.dumps(value)}" for path, value in parameters.items()), *fixed]


def as_csv(tuning: Tuning) -> str:
    """Return the trials as CSV, a column for each parameter."""
    names = list(dict.fromkeys(name for trial in tuning.trials for name in trial.parameters))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", tuning.metric, "epoch", "validation/loss", "seconds", *names, "run", "reason"])
    for each in tuning.trials:
        parameters = [each.parameters.get(name, "") for name in names]
        row = [each.number, each.state, each.value, each.epoch, each.loss, each.seconds]
        writer.writerow([*("" if cell is None else cell for cell in row), *parameters, each.run, each.reason])
    return file.getvalue()
