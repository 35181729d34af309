"""Draws of hyper-parameters from the ranges of a recipe, as functions of the trial's number."""

from __future__ import annotations

from typing import Any

import optuna
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from zoo.recipe import Range
from zoo.training.randomness import bits


class ByNumber(BaseSampler):
    """Draws each parameter by seed, trial number and name, so that no process's history of draws matters.

    `random` depends on nothing else; `tpe` (Bergstra et al., NIPS 2011) also on the trials that are finished, or running in
    other processes, when it draws.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: every parameter is drawn by itself."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing, as above."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value of one parameter."""
        word = bits(self.seed, f"tune/{param_name}", trial.number, torch.zeros(1, dtype=torch.int64))
        seed = int(word) & 0xFFFFFFFF
        sampler = RandomSampler(seed) if self.kind == "random" else TPESampler(seed=seed, constant_liar=True)
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def suggest(trial: optuna.Trial, path: str, values: Range) -> None:
    """Draw a parameter, where the trial has none yet."""
    if values.choices is not None:
        trial.suggest_categorical(path, values.choices)
        return
    assert values.low is not None and values.high is not None
    low, high, step = values.low, values.high, values.step
    if step is not None:  # to the last step inside
        high = low + step * int((high - low) / step + 1e-9)
    if isinstance(low, int) and isinstance(high, int):
        trial.suggest_int(path, low, high, step=int(step or 1), log=values.log)
    else:
        trial.suggest_float(path, low, high, step=step, log=values.log)
