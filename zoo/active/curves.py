"""Learning curves of simulations and their arithmetic: they stand over the number of answers, and are straight between rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StatisticsError

Floats = NDArray[np.float64]
METRICS = {"accuracy": ("test", "accuracy"), "mc_accuracy": ("mc", "accuracy")}
RESAMPLES = 2000
SEED = 0
TOLERANCE = 1e-12  # figures that are equal on paper differ in their last bits: 1 - 0.95 is above 0.05


@dataclass(frozen=True)
class Curve:
    """One simulation: a strategy with one seed, a mapping for each round, and which test items its network got right then.

    `correct` is `(rounds, items)`. A round has `answers`, the answers given up to it, and figures in groups such as `test`.
    """

    strategy: str
    seed: int
    rounds: tuple[Mapping[str, Any], ...]
    correct: NDArray[np.bool_]
    finished: bool = True

    @property
    def stopped(self) -> bool:
        """Whether a rule ended it before its last round."""
        return self.finished and "stop" in self.rounds[-1]

    @property
    def answers(self) -> Floats:
        """The number of answers given up to each round, the initial ones included, `(rounds,)`."""
        return np.array([row["answers"] for row in self.rounds], np.float64)

    def values(self, metric: str) -> Floats:
        """Return the metric of each round, `(rounds,)`. Raises StatisticsError where a round lacks it."""
        found = [figure(row, *METRICS[metric]) for row in self.rounds]
        known = [value for value in found if value is not None]
        if len(known) < len(found):
            raise StatisticsError(
                f"the curve of {self.strategy} with seed {self.seed} lacks {metric} in {len(found) - len(known)} rounds",
                possible=", ".join(METRICS),
                hint="compare by accuracy, which every round has",
            )
        return np.array(known, np.float64)

    def right_at(self, count: float) -> Floats:
        """Return how right each item was at so many answers, from 0 to 1, `(items,)`."""
        later = int(np.searchsorted(self.answers, count))
        if self.answers[later] == count:
            return np.asarray(self.correct[later], np.float64)
        before, after = self.answers[later - 1 : later + 1]
        share = (count - before) / (after - before)
        return np.asarray((1 - share) * self.correct[later - 1] + share * self.correct[later])

    def right_over(self, low: float, high: float) -> Floats:
        """Return the mean of `right_at` over all counts from low to high, `(items,)`: each item's area over the range."""
        # Rounding keeps equal areas equal, whatever the rounds they come from.
        found: Floats = np.round(weights(self.answers, low, high) @ self.correct, 12)
        return found


@dataclass(frozen=True)
class Together:
    """Curves at the numbers of answers that all of them reach: `answers` `(points,)`, `values` `(curves, points)`."""

    answers: Floats
    values: Floats

    @property
    def mean(self) -> Floats:
        found: Floats = self.values.mean(axis=0)
        return found


def figure(row: Mapping[str, Any], group: str, key: str) -> float | None:
    """Return a figure of a round, None where the round has none."""
    value = (row.get(group) or {}).get(key)
    return None if value is None else float(value)


def shared(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Return the lowest and the highest number of answers that all curves reach, None where they share none."""
    low, high = max(curve.answers[0] for curve in curves), min(curve.answers[-1] for curve in curves)
    return (float(low), float(high)) if low <= high else None


def together(curves: Sequence[Curve], metric: str) -> Together:
    """Return the curves at every number of answers at which one of them has a round and that all of them reach."""
    return _between(curves, metric, shared(curves))


def held(curves: Sequence[Curve], metric: str) -> Together:
    """Return what `together` does, and further on as if curves that a rule has stopped had kept their last value from there on."""
    bounds = shared(curves)
    if bounds is None:
        return _between(curves, metric, None)
    open_ends = [curve.answers[-1] for curve in curves if not curve.stopped]
    high = min(open_ends) if open_ends else max(curve.answers[-1] for curve in curves)
    return _between(curves, metric, (bounds[0], float(high)))


def _between(curves: Sequence[Curve], metric: str, bounds: tuple[float, float] | None) -> Together:
    if bounds is None:
        return Together(np.empty(0), np.empty((len(curves), 0)))
    counts = np.unique(np.concatenate([curve.answers for curve in curves]))
    grid = counts[(counts >= bounds[0]) & (counts <= bounds[1])]
    # np.interp holds the last value beyond a curve's end.
    return Together(grid, np.stack([np.interp(grid, curve.answers, curve.values(metric)) for curve in curves]))


def weights(answers: Floats, low: float, high: float) -> Floats:
    """Return what each round counts in the mean of a curve from low to high, `(rounds,)`, whose sum is 1.

    That mean is the area under the curve by trapezoids, divided by the range; of a range without width it is the value there.
    """
    knots = np.unique([low, *answers[(answers > low) & (answers < high)], high])
    basis = np.stack([np.interp(knots, answers, unit) for unit in np.eye(len(answers))], axis=1)
    if len(knots) == 1:
        return np.asarray(basis[0])
    widths = np.diff(knots)
    shares = (np.append(widths, 0) + np.append(0, widths)) / 2
    return np.asarray(shares @ basis / (high - low))


def area(curve: Curve, metric: str, low: float, high: float) -> float:
    """Return the area under the budget curve over low to high answers, divided by the range: the mean of the metric."""
    return float(weights(curve.answers, low, high) @ curve.values(metric))


def band(values: Floats, level: float) -> tuple[Floats, Floats] | None:
    """Return the ends of a band for the mean of curves `(curves, points)` over seeds, None where there is one seed only.

    The percentile bootstrap over seeds (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics
    1979) with a fixed generator. With few seeds it is narrower than its level says.
    """
    count = len(values)
    if count < 2 or not values.size:
        return None
    drawn = np.random.default_rng(SEED).multinomial(count, [1 / count] * count, size=RESAMPLES)
    means = drawn @ values / count
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def needed(answers: Floats, mean: Floats, value: float) -> float | None:
    """Return the answers at which the best so far of a curve reaches a value, straight between rounds; None if it never does."""
    best = np.maximum.accumulate(mean)
    reached = np.flatnonzero(best >= value - TOLERANCE)
    if not reached.size:
        return None
    at = int(reached[0])
    if at == 0:
        return float(answers[0])
    share = min(1.0, (value - best[at - 1]) / (best[at] - best[at - 1]))
    return float(answers[at - 1] + share * (answers[at] - answers[at - 1]))


def first_within(answers: Floats, errors: Floats, target: float) -> float | None:
    """Return the number of answers of the first round whose error is at most the target, None if there is none."""
    reached = np.flatnonzero(errors <= target + TOLERANCE)
    return float(answers[reached[0]]) if reached.size else None


def smoothed(values: Floats, width: int) -> Floats:
    """Return at each round the mean of the last `width` rounds up to it, of fewer where there are fewer."""
    return np.array([values[max(0, at - width + 1) : at + 1].mean() for at in range(len(values))])
