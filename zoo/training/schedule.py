"""Learning-rate schedules: the factor of the optimizer's own rate at each step."""

from __future__ import annotations

import math
from collections.abc import Callable

from zoo.recipe import Block, Constant, Cosine, OneCycle, Plateau, Step


def factor(schedule: Block, step: int, total: int, reductions: int = 0) -> float:
    """Return what the rate of optimizer step `step` (from 0) of `total` is multiplied by.

    `reductions` counts how often a plateau has been met. Every schedule is a pure function, so nothing of it is saved
    but that count.
    """
    warmup = round(schedule.warmup * total)  # type: ignore[attr-defined]  # every schedule has the field
    if step < warmup:
        start = schedule.start if isinstance(schedule, OneCycle) else 0.0
        return start + (1 - start) * (step + 1) / warmup
    share = (step - warmup) / max(1, total - warmup)
    return _SHAPES[type(schedule)](schedule, share, reductions)


def _cosine(final: float, share: float) -> float:
    return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def _constant(schedule: Block, share: float, reductions: int) -> float:
    return 1.0


def _step(schedule: Step, share: float, reductions: int) -> float:
    return schedule.gamma ** sum(share >= milestone for milestone in schedule.milestones)


_SHAPES: dict[type[Block], Callable[..., float]] = {
    Constant: _constant,
    Step: _step,
    Cosine: lambda schedule, share, reductions: _cosine(schedule.final, share),
    OneCycle: lambda schedule, share, reductions: _cosine(schedule.final, share),
    Plateau: lambda schedule, share, reductions: schedule.factor**reductions,
}
