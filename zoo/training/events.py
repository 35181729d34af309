"""What the loop tells: frozen events, one after another. Tensors in them live on the device; reading one waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Training begins, or goes on from `step`. `sizes` counts the samples of each split."""

    recipe: str
    run: Path
    step: int
    epoch: int
    total_steps: int
    steps_per_epoch: int
    parameters: int
    sizes: Mapping[str, int]
    classes: tuple[str, ...]
    image: tuple[int, int, int]  # channels, height, width
    device: str
    precision: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """Optimizer step number `step` (from 1) is done.

    `loss` and `correct` are 0-d tensors on the device: the epoch's sums so far over `seen` samples. `seconds` is the
    step's wall time, `waited` the part of it spent waiting for data.
    """

    step: int
    epoch: int
    loss: Tensor
    correct: Tensor
    seen: int
    samples: int
    lr: float
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluating:
    """`done` of `total` samples of a split are evaluated."""

    split: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something was decided, in words."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """Epoch number `epoch` (from 1) is trained and validated. `metrics` has names like `train/loss`; `timings` are
    seconds, images per second and bytes."""

    epoch: int
    step: int
    metrics: Mapping[str, float]
    timings: Mapping[str, float]
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint is on disk."""

    path: Path
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run is complete; `summary` is what `zoo train --json` prints."""

    summary: Mapping[str, Any]


Event = Started | StepDone | Evaluating | Noted | EpochDone | Saved | Finished
