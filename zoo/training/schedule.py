"""Learning-rate schedules: the factor of the optimizer's own rate at each step."""

from __future__ import annotations

import math

from zoo.schedules import Constant, Cosine, OneCycle, Plateau, Schedule, Step


def factor(schedule: Schedule, step: int, total: int, reductions: int = 0) -> float:
    """Return what the rate of optimizer step `step` (from 0) of `total` is multiplied by.

    `reductions` counts how often a plateau has been met. Every schedule is a pure function, so nothing of it is saved
    but that count.
    """
    warmup = round(schedule.warmup * total)
    if step < warmup:
        start = schedule.start if isinstance(schedule, OneCycle) else 0.0
        return start + (1 - start) * (step + 1) / warmup
    share = (step - warmup) / max(1, total - warmup)
    match schedule:
        case Constant():
            return 1.0
        case Step():
            return schedule.gamma ** sum(share >= milestone for milestone in schedule.milestones)
        case Cosine() | OneCycle():
            return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * share)) / 2
        case Plateau():
            return schedule.factor**reductions
