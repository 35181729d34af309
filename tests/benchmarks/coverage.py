"""Coverage and false positives of the verdict on two recipes, simulated: coverage.py [--repetitions N] [--items N]

Recipe r answers item i rightly with seed s where the latent

    level_r + difficulty_i + taste_ri + seed_rs + noise_rsi

is above 0, all terms but the level normal (a probit model), the noise of variance 1. The difficulty is shared by the recipes,
as the items of real networks are. So the expected accuracy of a recipe is Phi(level / sqrt(sum of the variances)) exactly.
One case is dominated by items, the other by seeds. Exit status 1 where a 95 % interval covers the true difference, or the
accuracy of the first recipe, in less than 93 or more than 97 % of the repetitions, or where two equal recipes differ at 0.05
in more than 6 %. A percentile bootstrap that draws items anew inside each drawn seed stands beside it, as a contrast.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from zoo.comparison.crossed import accuracy, differences, interval

COVERED, WRONG = (0.93, 0.97), 0.06


@dataclass(frozen=True)
class Case:
    """Variances of the latent's terms, and the levels of the two recipes."""

    name: str
    difficulty: float
    taste: float
    seed: float
    levels: tuple[float, float]

    def accuracies(self) -> tuple[float, float]:
        """Return the expected accuracy of either recipe."""
        spread = sqrt(self.difficulty + self.taste + self.seed + 1)
        first, second = (float(ndtr(level / spread)) for level in self.levels)
        return first, second

    def equal(self) -> Case:
        """Return the case with both recipes at the second's level."""
        return Case(self.name, self.difficulty, self.taste, self.seed, (self.levels[1], self.levels[1]))


CASES = (
    Case("items dominate", difficulty=8.0, taste=2.0, seed=0.001, levels=(5.0, 4.8)),
    Case("seeds dominate", difficulty=8.0, taste=0.2, seed=0.1, levels=(5.0, 4.6)),
)


def answers(case: Case, seeds: int, items: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return right and wrong answers `(recipes, seeds, items)` of one repetition."""
    latent = rng.standard_normal((2, seeds, items), dtype=np.float32)
    latent += sqrt(case.difficulty) * rng.standard_normal(items, dtype=np.float32)
    latent += sqrt(case.taste) * rng.standard_normal((2, 1, items), dtype=np.float32)
    latent += sqrt(case.seed) * rng.standard_normal((2, seeds, 1), dtype=np.float32)
    latent += np.array(case.levels, np.float32)[:, None, None]
    return latent > 0


def bootstrap(table: NDArray[np.int8], rng: np.random.Generator, draws: int = 300) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean: seeds are drawn, and items anew inside each."""
    seeds, items = table.shape
    shares = np.stack([(table == value).mean(axis=1) for value in (-1, 0, 1)], axis=1)
    counts = rng.multinomial(items, shares[rng.integers(0, seeds, (draws, seeds))])
    means = (counts[..., 2] - counts[..., 0]).mean(axis=1) / items
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Figures:
    """Shares of the repetitions; what seeds, items and residual have of the variance of the mean difference."""

    covered: float
    accuracy_covered: float
    wrong: float
    bootstrap_covered: float
    bootstrap_wrong: float
    of_seeds: float
    of_items: float
    of_residual: float

    def met(self) -> bool:
        """Return whether the intervals and the verdict keep the bars."""
        low, high = COVERED
        return low <= self.covered <= high and low <= self.accuracy_covered <= high and self.wrong <= WRONG


def simulate(case: Case, repetitions: int, seeds: int = 6, items: int = 2000, rng_seed: int = 0) -> Figures:
    """Return what so many repetitions with different recipes, and as many with equal ones, give."""
    rng = np.random.default_rng(rng_seed)
    first, second = case.accuracies()
    rows: list[tuple[Any, ...]] = []
    for _ in range(repetitions):
        right = answers(case, seeds, items, rng)
        table = differences(*right)
        found, own = interval(table), accuracy(right[0])
        low, high = bootstrap(table, rng)
        null = differences(*answers(case.equal(), seeds, items, rng))
        verdict, (null_low, null_high) = interval(null), bootstrap(null, rng)
        of = found.components
        rows.append(
            (
                found.low <= first - second <= found.high,
                own.low <= first <= own.high,
                verdict.p is not None and verdict.p < 0.05,
                low <= first - second <= high,
                not null_low <= 0 <= null_high,
                (of.seed or 0) / seeds,
                of.item / items,
                (of.residual or 0) / (seeds * items),
            )
        )
    means = np.array(rows, np.float64).mean(axis=0)
    of_mean = means[5:] / means[5:].sum()
    return Figures(*(float(mean) for mean in means[:5]), *(float(share) for share in of_mean))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--items", type=int, default=2000)
    arguments = parser.parse_args()
    met = True
    for case in CASES:
        began = time.process_time()
        figures = simulate(case, arguments.repetitions, arguments.seeds, arguments.items)
        met &= figures.met()
        first, second = case.accuracies()
        print(
            f"{case.name}: {arguments.repetitions:,} repetitions, {arguments.seeds} seeds × {arguments.items:,} items; "
            f"latent variances: difficulty {case.difficulty:g}, taste {case.taste:g}, seed {case.seed:g}, noise 1; "
            f"accuracies {first:.4f} and {second:.4f}; variance of the mean difference from seeds {figures.of_seeds:.0%}, "
            f"items {figures.of_items:.0%}, residual {figures.of_residual:.0%}\n"
            f"  coverage of the difference {figures.covered:.3f}, of the accuracy {figures.accuracy_covered:.3f} "
            f"(bar {COVERED[0]} to {COVERED[1]}); equal recipes found different {figures.wrong:.3f} (bar {WRONG}): "
            f"{'met' if figures.met() else 'MISSED'}\n"
            f"  bootstrap with items inside seeds: coverage {figures.bootstrap_covered:.3f}, "
            f"equal recipes found different {figures.bootstrap_wrong:.3f}; {time.process_time() - began:.0f} CPU seconds",
            flush=True,
        )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
