"""Where a training stands: everything that changes from step to step besides weights and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from zoo.recipe import EarlyStopping, Recipe
from zoo.schedules import Plateau
from zoo.training.distributed import World


def improves(metric: str, value: float, best: float | None, min_delta: float = 0.0) -> bool:
    """Return whether `value` is better than `best` by more than `min_delta`; losses fall, every other metric rises."""
    if best is None:
        return value == value
    return value < best - min_delta if metric.endswith("loss") else value > best + min_delta


def monitored(recipe: Recipe) -> str:
    """Return the metric whose best epoch is kept."""
    stopping = recipe.training.early_stopping
    return recipe.training.best or (stopping.monitor if stopping else "validation/accuracy")


@dataclass
class Watch:
    """The best value of one metric so far and for how many epochs it has not improved."""

    best: float | None = None
    epoch: int = 0
    stale: int = 0

    def see(self, metric: str, value: float, epoch: int, min_delta: float = 0.0) -> bool:
        """Take in the value of one epoch and return whether it is the best so far."""
        if improves(metric, value, self.best, min_delta):
            self.best, self.epoch, self.stale = value, epoch, 0
            return True
        self.stale += 1
        return False


@dataclass
class Progress:
    """Steps and epochs done, the running sums of this epoch, and what best, early stopping and plateau remember.

    `loss` and `correct` are 0-d sums over the `seen` samples of the epoch so far. `metrics_length` is the length in bytes
    of `metrics.jsonl` at this step.
    """

    device: torch.device
    step: int = 0
    epoch: int = 0
    seen: int = 0
    stopped: bool = False
    reductions: int = 0
    metrics_length: int = 0
    best: Watch = field(default_factory=Watch)
    stopping: Watch = field(default_factory=Watch)
    plateau: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        # MPS has no float64; there the sum of an epoch keeps about six digits.
        self.loss = torch.zeros(
            (), dtype=torch.float32 if self.device.type == "mps" else torch.float64, device=self.device
        )
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)

    def add(self, losses: Tensor, correct: Tensor) -> None:
        """Add the detached losses and hits `(b,)` of some samples; nothing waits for the device."""
        self.loss += losses.sum(dtype=self.loss.dtype)
        self.correct += correct.sum()
        self.seen += len(losses)

    def forget_sums(self) -> None:
        """Start the sums of an epoch anew."""
        self.seen = 0
        self.loss.zero_()
        self.correct.zero_()

    def finish_epoch(self, recipe: Recipe, metrics: Mapping[str, float]) -> bool:
        """Take in the figures of one epoch; return whether it is the best so far by the recipe's metric."""
        self.epoch += 1
        self.forget_sums()
        metric = monitored(recipe)
        # Without validation each epoch counts as better than the one before.
        best = metric not in metrics or self.best.see(metric, metrics[metric], self.epoch)
        stopping: EarlyStopping | None = recipe.training.early_stopping
        if stopping is not None:
            self.stopping.see(stopping.monitor, metrics[stopping.monitor], self.epoch, stopping.min_delta)
            self.stopped = self.stopping.stale >= stopping.patience
        if isinstance(recipe.schedule, Plateau):
            schedule = recipe.schedule
            self.plateau.see(schedule.monitor, metrics[schedule.monitor], self.epoch, schedule.min_delta)
            if self.plateau.stale > schedule.patience:
                self.reductions += 1
                self.plateau.stale = 0
        return best

    def state_dict(self) -> dict[str, Any]:
        """Return the whole of it as a tree that a checkpoint keeps."""
        state: dict[str, Any] = {"loss": self.loss, "correct": self.correct}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "device":
                state[item.name] = vars(value).copy() if isinstance(value, Watch) else value
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.loss.copy_(state["loss"])
        self.correct.copy_(state["correct"])
        for item in fields(self):
            if item.name != "device":
                value = state[item.name]
                setattr(self, item.name, Watch(**value) if isinstance(value, dict) else value)


def gathered(progress: Progress, world: World) -> dict[str, Any]:
    """Return the state with the sums of all processes, which from here on the first one carries."""
    if world.size > 1:
        seen = torch.tensor(progress.seen, device=progress.device)
        totals = [world.sum(value) for value in (progress.loss, progress.correct, seen)]
        keep = int(world.leads)
        progress.loss.copy_(totals[0] * keep)
        progress.correct.copy_(totals[1] * keep)
        progress.seen = int(totals[2]) * keep
    return progress.state_dict()
