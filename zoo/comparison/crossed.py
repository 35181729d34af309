"""The verdict on recipes: every seed's model answers the same items, so seeds and items are crossed.

A figure is y = mean + seed + item + residual, with random effects of both and one figure a cell (two-way random effects;
Searle, Casella and McCulloch, "Variance Components", Wiley 1992, chapter 4). All figures are in the unit of the input:
proportions where it is right or wrong, nats where it is a loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from zoo.comparison.figures import numbers, proportion, right_or_wrong
from zoo.errors import StatisticsError


@dataclass(frozen=True)
class Components:
    """Variances of single effects, 0 where the estimate is negative.

    With one seed, `item` holds the residual too and the others are None.
    """

    seed: float | None
    item: float
    residual: float | None


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and items with its interval at `level`.

    `p` is two-sided, for a true mean of 0, and None for an accuracy. `degrees` are Satterthwaite's.
    """

    estimate: float
    low: float
    high: float
    level: float
    standard_error: float
    degrees: float
    p: float | None
    seeds: int
    items: int
    components: Components

    @property
    def covers_seeds(self) -> bool:
        """Whether the interval holds for other seeds; with one seed it is about these trained models only."""
        return self.seeds > 1


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests: `equivalent` where the interval at 1 - 2 alpha lies within ± `margin`."""

    equivalent: bool
    p: float
    low: float
    high: float
    level: float
    margin: float


def differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.int8]:
    """Return right(a) - right(b), int8 of -1, 0 and 1, for answers of one shape, such as `(seeds, items)`.

    Raises StatisticsError for shapes that differ and for answers that are neither right nor wrong.
    """
    left, right = right_or_wrong(a, "answers of the first recipe"), right_or_wrong(b, "answers of the second recipe")
    if left.shape != right.shape:
        raise StatisticsError(
            f"the recipes answered {left.shape} and {right.shape} seeds and items",
            hint="evaluate both recipes with the same seeds on the same split",
        )
    return np.subtract(left, right, dtype=np.int8)


def mean_over(tables: Iterable[ArrayLike]) -> NDArray[np.float64]:
    """Return the mean of several architectures' tables `(seeds, items)`, for `interval`.

    The law then holds with these architectures fixed: the result is about them and not about their family. Raises
    StatisticsError for no table, and for shapes that differ.
    """
    rest = iter(tables)
    first = next(rest, None)
    if first is None:
        raise StatisticsError("there is no architecture to average over")
    total, count = _table(first).astype(np.float64), 1
    for values in rest:
        table = _table(values)
        if total.shape != table.shape:
            raise StatisticsError(
                f"tables of the architectures differ in shape: {total.shape} and {table.shape}",
                hint="evaluate all architectures with the same number of seeds on the same split",
            )
        total += table
        count += 1
    return total / count


def interval(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the mean of `(seeds, items)` paired differences, or of any figure, with a t interval for new seeds and items.

    Variance of the mean: (MS seed + MS item - MS residual) / (seeds × items), with the degrees of freedom of Satterthwaite,
    "An approximate distribution of estimates of variance components", Biometrics Bulletin 1946. Where it is negative or below
    the residual's, MS residual / (seeds × items) takes its place; degrees are never below those of the smaller side. With one
    seed it is the t interval over items. Where all cells agree on -1, 0 or 1, the standard error is 1 / (items + 2), as with
    half an item added in each cell of the paired table (Agresti and Min, Statistics in Medicine 2005).

    Memory beside the input is a few float64 rows of items. With six seeds and normal effects a 95 % interval covers 94 to
    98 %, most where neither seeds nor items matter; with four seeds from 93 %, with three from 92 %, with two from 87 %. Raises
    StatisticsError for anything but finite figures of at least one seed and two items, and where all cells agree on another
    value than those three.
    """
    proportion(level, "the level")
    table = _table(values)
    seeds, items = table.shape
    rows, columns = table.mean(axis=1, dtype=np.float64), table.mean(axis=0, dtype=np.float64)
    mean = float(rows.mean())
    if table.min() == table.max():
        error, degrees, components = _without_spread(table)
    elif seeds == 1:
        variance = float(np.var(columns, ddof=1))
        error, degrees, components = sqrt(variance / items), float(items - 1), Components(None, variance, None)
    else:
        error, degrees, components = _analysis(table, rows, columns)
    half = float(stats.t.isf((1 - level) / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, degrees))
    return Estimate(mean, mean - half, mean + half, level, error, degrees, p, seeds, items, components)


def accuracy(correct: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the accuracy of one recipe from right and wrong answers `(seeds, items)`, or of several from the shares of them that
    are right, its interval within 0 and 1.

    The interval is Wilson's with the effective number of items, p (1 - p) / standard error², and the t quantile of the
    degrees of `interval` (Dean and Pagano, "Evaluating confidence interval methods for binomial proportions in clustered
    surveys", Journal of Survey Statistics and Methodology 2015). Raises StatisticsError as `interval` does, and for shares
    that are not within 0 and 1.
    """
    shares = _table(correct)
    if shares.min() < 0 or shares.max() > 1:
        raise StatisticsError("answers must be 0 (wrong) or 1 (right), or shares between them")
    found = interval(shares, level)
    mean, quantile = found.estimate, float(stats.t.isf((1 - level) / 2, found.degrees))
    spread = mean * (1 - mean)
    # All right or all wrong: seeds that agree everywhere count once.
    effective = spread / found.standard_error**2 if spread > 0 else float(found.items)
    weight = quantile**2 / effective
    middle = (mean + weight / 2) / (1 + weight)
    half = quantile * sqrt(spread / effective + weight / effective / 4) / (1 + weight)
    return replace(found, low=max(0.0, middle - half), high=min(1.0, middle + half), p=None)


def equivalence(found: Estimate, margin: float = 0.005, alpha: float = 0.05) -> Equivalence:
    """Return whether a difference is within ± `margin`, by two one-sided t tests with the estimate's standard error.

    Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence of
    average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 1987. The default margin is half a percentage
    point of accuracy. Raises StatisticsError for a margin that is not positive and for alpha outside 0 to 0.5.
    """
    if not 0 < margin < inf:
        raise StatisticsError(f"the margin must be positive, got {margin} instead", possible="0.005, for example")
    proportion(2 * alpha, "twice alpha")
    nearest = (margin - abs(found.estimate)) / found.standard_error
    p = float(stats.t.sf(nearest, found.degrees))
    half = float(stats.t.isf(alpha, found.degrees)) * found.standard_error
    low, high = found.estimate - half, found.estimate + half
    return Equivalence(p <= alpha, p, low, high, 1 - 2 * alpha, margin)


def detectable(found: Estimate, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true difference that a two-sided test at `alpha` finds with this `power`, in the estimate's unit.

    (t of 1 - alpha/2 + t of power) × standard error: Bloom, "Minimum detectable effects", Evaluation Review 1995. Raises
    StatisticsError for an alpha or a power outside 0 to 1.
    """
    proportion(alpha, "alpha"), proportion(power, "the power")
    return float(stats.t.isf(alpha / 2, found.degrees) + stats.t.ppf(power, found.degrees)) * found.standard_error


def _table(values: ArrayLike) -> NDArray[Any]:
    table = numbers(values, "figures")
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise StatisticsError(
            f"figures must come as a table of seeds × items, got shape {table.shape} instead",
            possible="one seed or more, two items or more",
        )
    return table


def _without_spread(table: NDArray[Any]) -> tuple[float, float, Components]:
    value, (seeds, items) = float(table[0, 0]), table.shape
    if value not in (-1, 0, 1):
        raise StatisticsError(
            f"all {seeds} × {items} figures are {value:g}: without spread there is no interval",
            hint="compare figures of single items, not their means",
        )
    return 1 / (items + 2), float(items - 1), Components(0.0, 0.0, 0.0) if seeds > 1 else Components(None, 0.0, None)


def _analysis(
    table: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[float, float, Components]:
    """Return standard error, degrees and components, given the means of the seeds and of the items."""
    seeds, items = table.shape
    of_seed, of_item = rows - rows.mean(), columns - rows.mean()
    residues = (row - own - of_item for row, own in zip(table, rows, strict=True))
    sums = (items * of_seed @ of_seed, seeds * of_item @ of_item, sum(float(residue @ residue) for residue in residues))
    free = np.array([seeds - 1, items - 1, (seeds - 1) * (items - 1)], np.float64)
    squares = np.array(sums) / free
    seed, item, residual = (float(square) for square in squares)
    total = max(seed + item - residual, residual)
    degrees = max(total**2 / float((squares**2 / free).sum()), float(free[:2].min()))
    components = Components(max(seed - residual, 0.0) / items, max(item - residual, 0.0) / seeds, residual)
    return sqrt(total / (seeds * items)), degrees, components
