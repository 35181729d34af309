"""Exact tests of pairs: of two trained models on the same items, and of two recipes over paired seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from zoo.comparison.crossed import differences
from zoo.comparison.figures import numbers, proportion, vector
from zoo.errors import StatisticsError

LEAST_PAIRS = 6
MOST_PAIRS = 24


@dataclass(frozen=True)
class McNemar:
    """Items that only the first, or only the second, of two models gets right, and the two-sided p."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class SignFlip:
    """The mean difference of paired seeds, its two-sided p, and the smallest p that so many pairs can give."""

    estimate: float
    p: float
    smallest: float
    pairs: int


def mcnemar(a: ArrayLike, b: ArrayLike) -> McNemar:
    """Return the exact McNemar test of two trained models from their right and wrong answers `(items,)`.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
    1947; exact: discordant items are binomial with 1/2. It says nothing about recipes, whose other seeds differ. Raises
    StatisticsError for answers that do not fit together.
    """
    found = differences(a, b)
    if found.ndim != 1:
        raise StatisticsError(f"McNemar's test takes the answers of two models, got shape {found.shape} instead")
    return discordant(int((found == 1).sum()), int((found == -1).sum()))


def discordant(only_first: int, only_second: int) -> McNemar:
    """Return the same test from the two counts of discordant items. Raises StatisticsError for a negative count."""
    if min(only_first, only_second) < 0:
        raise StatisticsError(f"counts of items must not be negative, got {only_first} and {only_second} instead")
    both = only_first + only_second
    return McNemar(only_first, only_second, float(stats.binomtest(only_first, both).pvalue) if both else 1.0)


def smallest_p(pairs: int) -> float:
    """Return 2 / 2^pairs, the smallest two-sided p of sign flips. Raises StatisticsError for no pair."""
    if pairs < 1:
        raise StatisticsError(f"there must be at least one pair of seeds, got {pairs} instead")
    return 2.0 ** (1 - pairs)


def smallest_after_holm(pairs: int, comparisons: int) -> float:
    """Return the smallest p that Holm's procedure can leave the first of so many comparisons."""
    if comparisons < 1:
        raise StatisticsError(f"there must be at least one comparison, got {comparisons} instead")
    return min(1.0, comparisons * smallest_p(pairs))


def pairs_needed(comparisons: int, alpha: float = 0.05) -> int:
    """Return the fewest pairs of seeds with which one of so many comparisons can reach `alpha` after Holm, at least six."""
    if comparisons < 1:
        raise StatisticsError(f"there must be at least one comparison, got {comparisons} instead")
    return max(LEAST_PAIRS, 1 + ceil(log2(comparisons / proportion(alpha, "alpha"))))


def sign_flip(figures: ArrayLike) -> SignFlip:
    """Return the exact two-sided sign-flip test of paired differences, one a seed, over all 2^pairs signs.

    Fisher, "The Design of Experiments", 1935, section 21: the p is the share of signs whose mean is at least as far from 0.
    Raises StatisticsError below six pairs, which can never reach 0.05, and above 24, which are too many to enumerate.
    """
    found = vector(figures, "differences of pairs of seeds")
    pairs = len(found)
    if pairs < LEAST_PAIRS:
        short = LEAST_PAIRS - pairs
        raise StatisticsError(
            f"{pairs} pairs of seeds cannot reach p = 0.05: {2**pairs} signs give no p below {smallest_p(pairs):g}",
            possible=f"{LEAST_PAIRS} pairs or more; {LEAST_PAIRS} can reach {smallest_p(LEAST_PAIRS):g}",
            hint=f"train {short} more seed{'s' if short > 1 else ''} of both recipes",
        )
    if pairs > MOST_PAIRS:
        raise StatisticsError(
            f"{pairs} pairs of seeds are too many to try all signs", possible=f"up to {MOST_PAIRS} pairs"
        )
    # Sums that are equal on paper differ in their last bits.
    reach = abs(found.sum()) - 1e-12 * float(np.abs(found).sum())
    p = float((np.abs(_sums(found)) >= reach).mean())
    return SignFlip(float(found.mean()), p, smallest_p(pairs), pairs)


def _sums(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums under all signs, but the first value's sign kept: the other half mirrors them."""
    sums = found[:1]
    for value in found[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p in the order of the input: each is compared with alpha itself.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979. Raises
    StatisticsError for a p that is not finite or outside 0 to 1.
    """
    p = numbers(np.asarray(values, np.float64), "p-values")
    if ((p < 0) | (p > 1)).any():
        raise StatisticsError("p-values must be between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return tuple(float(value) for value in adjusted)
