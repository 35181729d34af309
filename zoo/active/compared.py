"""The simulations that are compared, checked: curves by strategy, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zoo.active.curves import METRICS, Curve, Floats, Together, shared, together
from zoo.errors import StatisticsError

CONTROL = "random"
ROUNDING = 1e-6  # of figures in a curve against the answers that they come from


@dataclass(frozen=True)
class Compared:
    """Curves by strategy, in the order of the plan and of seeds, the metric that they are compared by, and the level of intervals."""

    curves: Mapping[str, tuple[Curve, ...]]
    metric: str
    level: float

    @property
    def names(self) -> list[str]:
        return list(self.curves)

    @cached_property
    def every(self) -> list[Curve]:
        return [curve for curves in self.curves.values() for curve in curves]

    @cached_property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest number of answers that all simulations reach, None where they share none."""
        return shared(self.every)

    @cached_property
    def judged(self) -> bool:
        """Whether the answers to single items are those of the metric; else they are those without Monte Carlo passes."""
        return all(_agrees(curve, self.metric) for curve in self.every)

    @cached_property
    def _areas(self) -> dict[tuple[str, int], Floats]:
        return {}

    def area(self, curve: Curve, low: float, high: float) -> Floats:
        """Return each item's area under one of the curves over a range, `(items,)`; those over the shared range are kept."""
        if (low, high) != self.range:
            return curve.right_over(low, high)
        key = (curve.strategy, curve.seed)
        if key not in self._areas:
            self._areas[key] = curve.right_over(low, high)
        return self._areas[key]

    def together(self, name: str) -> Together:
        """Return the curves of a strategy at the numbers of answers that all its seeds reach."""
        return together(self.curves[name], self.metric)

    def paired(self, a: str, b: str) -> tuple[list[Curve], list[Curve]]:
        """Return the curves of two strategies with the seeds that both have, in the same order."""
        ours, theirs = ({curve.seed: curve for curve in self.curves[name]} for name in (a, b))
        seeds = sorted(set(ours) & set(theirs))
        return [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]


def compared(plan: Mapping[str, Any], curves: Sequence[Curve]) -> Compared:
    """Return the curves of a plan. Raises StatisticsError for none, for one that occurs twice, and for those that do not fit."""
    begun = [curve for curve in curves if curve.rounds]
    if not begun:
        raise StatisticsError(
            "no simulation has finished a round yet", hint="go on with the simulation, then analyse again"
        )
    metric = plan.get("metric", "accuracy")
    if metric not in METRICS:
        raise StatisticsError(f"unknown metric {metric!r}", possible=", ".join(METRICS))
    _require_one_test(begun)
    names = dict.fromkeys([*plan.get("strategies", ()), *(curve.strategy for curve in begun)])
    ordered = sorted(begun, key=lambda curve: curve.seed)
    by_name = {name: tuple(curve for curve in ordered if curve.strategy == name) for name in names}
    return Compared({name: found for name, found in by_name.items() if found}, metric, plan.get("level", 0.95))


def _require_one_test(curves: Sequence[Curve]) -> None:
    items, seen = curves[0].correct.shape[-1], set[tuple[str, int]]()
    for curve in curves:
        name = f"{curve.strategy} with seed {curve.seed}"
        if curve.correct.shape != (len(curve.rounds), items) or items < 2:
            raise StatisticsError(
                f"the answers of {name} are {curve.correct.shape}, for {len(curve.rounds)} rounds and {items} test items",
                possible="a row for each round, the same two or more test items in all simulations",
                hint="simulate all strategies on the same splits",
            )
        if (np.diff(curve.answers) <= 0).any():
            raise StatisticsError(f"the number of answers of {name} must grow from round to round")
        if (curve.strategy, curve.seed) in seen:
            raise StatisticsError(f"{name} was simulated twice", hint="analyse one of both")
        seen.add((curve.strategy, curve.seed))


def _agrees(curve: Curve, metric: str) -> bool:
    return bool(np.allclose(curve.correct.mean(axis=1), curve.values(metric), rtol=0, atol=ROUNDING))
