"""Claims about families: an architecture's mean over its seeds is one figure, and architectures are the sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from zoo.comparison.figures import numbers, proportion, vector
from zoo.errors import StatisticsError

MOST_SPLITS = 1_000_000
_NUMBERS = ("no", "one", "two", "three", "four")


@dataclass(frozen=True)
class Welch:
    """The difference of two families' means with its interval at `level` and two-sided p."""

    estimate: float
    low: float
    high: float
    level: float
    standard_error: float
    degrees: float
    p: float


@dataclass(frozen=True)
class Permutation:
    """The difference of two families' means, its two-sided p, and the smallest p that their sizes allow."""

    estimate: float
    p: float
    smallest: float
    splits: int


@dataclass(frozen=True)
class Strength:
    """What a comparison of two families may claim, and what is missing to claim more.

    `pair`: about two recipes only; `these`: these architectures against these; `families`: about the families.
    """

    claim: Literal["pair", "these", "families"]
    missing: tuple[str, ...]


def welch(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Welch:
    """Return mean(a) - mean(b) of architecture means `(n,)` and `(m,)` with an interval for unequal variances.

    Welch, "The generalization of 'Student's' problem when several different population variances are involved", Biometrika
    1947. Raises StatisticsError below two architectures a family, and where neither family varies.
    """
    first, second = _families(a, b, least=2)
    shares = np.array([first.var(ddof=1) / len(first), second.var(ddof=1) / len(second)])
    variance = float(shares.sum())
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        raise StatisticsError("architectures do not differ within either family: without spread there is no interval")
    degrees = variance**2 / float((shares**2 / [len(first) - 1, len(second) - 1]).sum())
    estimate, error = float(first.mean() - second.mean()), sqrt(variance)
    half = float(stats.t.isf((1 - proportion(level, "the level")) / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(estimate) / error, degrees))
    return Welch(estimate, estimate - half, estimate + half, level, error, degrees, p)


def smallest_by_permutation(a: int, b: int) -> float:
    """Return the smallest two-sided p of families of `a` and `b` architectures; of equal sizes, each split has a mirror."""
    if min(a, b) < 1:
        raise StatisticsError(f"a family needs at least one architecture, got {a} and {b} instead")
    return (2 if a == b else 1) / comb(a + b, a)


def permutation(a: ArrayLike, b: ArrayLike) -> Permutation:
    """Return the exact two-sided permutation test of mean(a) - mean(b) over all splits of the architectures.

    Pitman, "Significance tests which may be applied to samples from any populations", Supplement to the Journal of the Royal
    Statistical Society 1937. Three against three cannot go below 0.1, four against four below 0.029. Raises StatisticsError
    for an empty family, and where there are over a million splits.
    """
    first, second = _families(a, b, least=1)
    splits = comb(len(first) + len(second), len(first))
    if splits > MOST_SPLITS:
        raise StatisticsError(f"{splits:,} splits are too many to try them all", possible=f"up to {MOST_SPLITS:,}")
    together = np.concatenate([first, second])
    together -= together.mean()  # so that a sum is 0 where both means are equal, and far sums are far means
    # Sums that are equal on paper differ in their last bits.
    reach = abs(together[: len(first)].sum()) - 1e-12 * float(np.abs(together).sum())
    far = sum(int((np.abs(sums) >= reach).sum()) for sums in _sums(together, len(first)))
    smallest = smallest_by_permutation(len(first), len(second))
    return Permutation(float(first.mean() - second.mean()), far / splits, smallest, splits)


def _sums(together: NDArray[np.float64], size: int) -> Iterator[NDArray[np.float64]]:
    splits = combinations(range(len(together)), size)
    while chosen := list(islice(splits, 65536)):
        yield together[np.array(chosen)].sum(axis=1)


def _families(a: ArrayLike, b: ArrayLike, least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return vector(a, "means of the first family", least), vector(b, "means of the second family", least)


def interquartile_mean(scores: ArrayLike) -> float:
    """Return the mean of the middle half of all scores, `(runs, tasks)` or `(runs,)`.

    Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021: a quarter, rounded
    down, is cut at either end. Raises StatisticsError for no scores and for such as are not finite.
    """
    return float(stats.trim_mean(vector(np.ravel(np.asarray(scores)), "scores"), 0.25))


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Return how likely a run of `a` is above one of `b`, both `(runs, tasks)` or `(runs,)`; a tie counts half.

    Agarwal et al., NeurIPS 2021, as above: over all pairs of runs within a task, then the mean over tasks. The numbers of
    runs may differ. Raises StatisticsError for no runs and for tasks that differ.
    """
    first, second = _runs(a, "scores of the first"), _runs(b, "scores of the second")
    if first.shape[1] != second.shape[1]:
        raise StatisticsError(f"both must have the same tasks, got {first.shape[1]} and {second.shape[1]} instead")
    return float(((np.sign(first[:, None] - second[None]) + 1) / 2).mean())


def _runs(scores: ArrayLike, what: str) -> NDArray[np.float64]:
    found = numbers(scores, what).astype(np.float64)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or not found.size:
        raise StatisticsError(f"{what} must be runs, or runs × tasks, got shape {found.shape} instead")
    return found


def strength(a: int, b: int, names: tuple[str, str] = ("a", "b")) -> Strength:
    """Return what families `names` of `a` and `b` architectures may claim: the smaller of the two decides.

    One architecture: a pair of recipes; two or three: these against these; four or more: the families. Raises
    StatisticsError for a family without architectures.
    """
    fewest = min(a, b)
    if fewest < 1:
        raise StatisticsError(f"a family needs at least one architecture, got {a} and {b} instead")
    if fewest >= 4:
        return Strength("families", ())
    needed = 2 if fewest == 1 else 4
    missing = tuple(_missing(needed - n, name) for n, name in zip((a, b), names, strict=True) if n < needed)
    return Strength("pair" if fewest == 1 else "these", missing)


def _missing(count: int, family: str) -> str:
    return f"{_NUMBERS[count]} more architecture{'s' if count > 1 else ''} of the family {family}"
