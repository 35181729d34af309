from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from zoo.comparison.families import (
    Strength,
    interquartile_mean,
    permutation,
    probability_of_improvement,
    smallest_by_permutation,
    strength,
    welch,
)
from zoo.errors import StatisticsError

CNN, RNN = [0.984, 0.979, 0.988, 0.981], [0.962, 0.975, 0.969]


def test_welch_agrees_with_scipy() -> None:
    found, reference = welch(CNN, RNN, level=0.9), stats.ttest_ind(CNN, RNN, equal_var=False)
    assert found.estimate == pytest.approx(np.mean(CNN) - np.mean(RNN))
    assert (found.p, found.degrees) == pytest.approx((reference.pvalue, reference.df))
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.9)))
    other = welch(RNN, CNN, level=0.9)
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))


def test_welch_takes_one_family_that_does_not_vary_but_not_two() -> None:
    assert welch([0.9, 0.9], RNN).degrees == pytest.approx(2)
    with pytest.raises(StatisticsError, match="without spread"):
        welch([0.9, 0.9], [0.8, 0.8])
    with pytest.raises(StatisticsError, match="first family must be a list of at least 2"):
        welch([0.9], RNN)


def test_a_permutation_test_agrees_with_a_count_by_hand() -> None:
    # Of the six splits of 1, 2, 3, 5, {1, 3} | {2, 5} and {2, 5} | {1, 3} differ by 3 in sum, {1, 2} and {3, 5} by 5,
    # {1, 5} and {2, 3} by 1.
    assert permutation([5, 2], [1, 3]).p == 4 / 6
    assert permutation([3, 5], [1, 2]).p == 2 / 6
    assert permutation([1, 5], [2, 3]).p == 1


@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 4), (4, 4), (5, 3)])
def test_a_permutation_test_agrees_with_scipys_exact_one(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    a, b = rng.integers(0, 10, n) / 10, rng.integers(0, 10, m) / 10

    def distance(x: np.ndarray, y: np.ndarray) -> float:
        return abs(round(x.mean() - y.mean(), 12))

    reference = stats.permutation_test((a, b), distance, n_resamples=np.inf, alternative="greater", vectorized=False)
    found = permutation(a, b)
    assert found.p == pytest.approx(reference.pvalue)
    assert permutation(b, a).p == permutation(a[::-1], b).p == found.p


def test_families_apart_reach_the_smallest_p_of_their_sizes() -> None:
    assert permutation([4, 5, 6], [1, 2, 3]).p == smallest_by_permutation(3, 3) == 0.1
    assert permutation([5, 6, 7, 8], [1, 2, 3, 4]).p == smallest_by_permutation(4, 4) == pytest.approx(2 / 70)
    assert permutation([8, 9, 9], [1, 2, 3, 4]).p == smallest_by_permutation(3, 4) == pytest.approx(1 / 35)
    assert permutation([0.7, 0.7], [0.7, 0.7, 0.7]).p == 1


def test_more_splits_than_a_block_holds_are_all_tried() -> None:
    found = permutation(np.arange(11, 20), np.arange(2, 11))
    assert (found.splits, found.p) == (48_620, 2 / 48_620)
    found = permutation(np.arange(11, 21), np.arange(1, 11))
    assert (found.splits, found.p) == (184_756, 2 / 184_756)
    with pytest.raises(StatisticsError, match="2,704,156 splits"):
        permutation(np.arange(12), np.arange(12))


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    assert interquartile_mean([9.0, 1, 2, 100, 4, 3, 5, -50]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([[1.0, 100], [2, 3], [-50, 4], [5, 9]]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([1.0, 2, 6]) == pytest.approx(3)  # a quarter of three, rounded down, is none


def test_the_probability_of_improvement_counts_pairs_and_half_of_ties() -> None:
    assert probability_of_improvement([3, 1], [2, 1, 0]) == pytest.approx((3 + 1.5) / 6)
    assert probability_of_improvement([[3, 0], [1, 0]], [[2, 5], [1, 5], [0, 5]]) == pytest.approx(4.5 / 6 / 2)
    assert probability_of_improvement(RNN, CNN) + probability_of_improvement(CNN, RNN) == pytest.approx(1)
    reference = stats.mannwhitneyu(CNN, RNN).statistic / (len(CNN) * len(RNN))
    assert probability_of_improvement(CNN, RNN) == pytest.approx(reference)


def test_numbers_of_architectures_decide_what_may_be_claimed() -> None:
    assert strength(1, 1, ("cnn", "rnn")) == Strength(
        "pair", ("one more architecture of the family cnn", "one more architecture of the family rnn")
    )
    assert strength(5, 1, ("cnn", "rnn")) == Strength("pair", ("one more architecture of the family rnn",))
    assert strength(2, 3, ("cnn", "rnn")) == Strength(
        "these", ("two more architectures of the family cnn", "one more architecture of the family rnn")
    )
    assert strength(4, 3, ("cnn", "rnn")) == Strength("these", ("one more architecture of the family rnn",))
    assert strength(4, 9) == Strength("families", ())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: strength(0, 3), "at least one architecture"),
        (lambda: smallest_by_permutation(3, 0), "at least one architecture"),
        (lambda: permutation([], [1.0]), "first family"),
        (lambda: permutation([1.0], [np.inf]), "second family hold values that are NaN"),
        (lambda: welch(CNN, [0.9, np.nan]), "second family hold values that are NaN"),
        (lambda: welch(CNN, RNN, level=95), "the level must be between 0 and 1"),
        (lambda: interquartile_mean([]), "at least 1"),
        (lambda: interquartile_mean([1, np.nan]), "NaN"),
        (lambda: probability_of_improvement([], [1]), "runs × tasks"),
        (lambda: probability_of_improvement([[1, 2]], [[1]]), "same tasks, got 2 and 1"),
    ],
)
def test_figures_that_allow_no_claim_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()
