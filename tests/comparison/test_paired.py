from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest

from zoo.comparison.paired import (
    McNemar,
    discordant,
    holm,
    mcnemar,
    pairs_needed,
    sign_flip,
    smallest_after_holm,
    smallest_p,
)
from zoo.errors import StatisticsError

# Darwin's maize in eighths of an inch; Fisher, "The Design of Experiments", section 21: of 32,768 signs 1,726 reach 314.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_mcnemar_agrees_with_a_published_table() -> None:
    # Fagerland, Lydersen and Laake, BMC Medical Research Methodology 2013, table 1: 1 and 7 of 21 children; p = 0.0703.
    before = np.repeat([True, True, False, False], [1, 1, 7, 12])
    after = np.repeat([True, False, True, False], [1, 1, 7, 12])
    assert mcnemar(before, after) == McNemar(1, 7, pytest.approx(0.0703, abs=5e-5))


@pytest.mark.parametrize(("first", "second"), [(0, 5), (3, 3), (86, 150), (1, 0)])
def test_mcnemar_is_twice_the_smaller_binomial_tail(first: int, second: int) -> None:
    both, fewer = first + second, min(first, second)
    tail = sum(comb(both, k) for k in range(fewer + 1)) / 2**both
    assert discordant(first, second).p == pytest.approx(min(1, 2 * tail))


def test_mcnemar_without_discordant_items_finds_nothing() -> None:
    assert mcnemar([1, 0, 1], [1, 0, 1]) == McNemar(0, 0, 1.0)


def test_mcnemar_refuses_what_are_not_two_models_on_the_same_items() -> None:
    with pytest.raises(StatisticsError, match="answers of two models"):
        mcnemar(np.zeros((6, 4)), np.zeros((6, 4)))
    with pytest.raises(StatisticsError, match=r"\(3,\) and \(2,\)"):
        mcnemar([1, 0, 1], [1, 0])
    with pytest.raises(StatisticsError, match="NaN"):
        mcnemar([1, np.nan], [1, 0])
    with pytest.raises(StatisticsError, match="negative"):
        discordant(-1, 3)


def test_sign_flips_agree_with_fishers_count() -> None:
    found = sign_flip(MAIZE)
    assert found.p == 1726 / 2**15
    assert found.estimate == pytest.approx(314 / 15)
    assert (found.pairs, found.smallest) == (15, 2**-14)


@pytest.mark.parametrize("number", range(5))
def test_sign_flips_agree_with_a_plain_enumeration(number: int) -> None:
    figures = np.random.default_rng(number).integers(-4, 7, 7) / 10  # ties are many
    signs = [
        abs(sum(sign * round(10 * value) for sign, value in zip(s, figures, strict=True)))
        for s in product((1, -1), repeat=7)
    ]
    reach = abs(sum(round(10 * value) for value in figures))
    assert sign_flip(figures).p == sum(value >= reach for value in signs) / 2**7
    assert sign_flip(-figures).p == sign_flip(figures[::-1]).p == sign_flip(figures).p


def test_six_seeds_of_one_sign_reach_the_smallest_p_and_no_difference_gives_1() -> None:
    assert sign_flip([0.1, 0.2, 0.3, 0.1, 0.2, 0.1]).p == smallest_p(6) == 0.03125
    assert sign_flip(np.zeros(6)).p == 1


def test_five_pairs_are_refused_with_what_is_needed() -> None:
    with pytest.raises(StatisticsError) as caught:
        sign_flip([0.1] * 5)
    assert caught.value.problem == "5 pairs of seeds cannot reach p = 0.05: 32 signs give no p below 0.0625"
    assert caught.value.possible == "6 pairs or more; 6 can reach 0.03125"
    assert caught.value.hint == "train 1 more seed of both recipes"
    with pytest.raises(StatisticsError, match="2 more seeds"):
        sign_flip([0.1] * 4)


def test_differences_that_sign_flips_cannot_take_are_refused() -> None:
    with pytest.raises(StatisticsError, match="too many to try all signs"):
        sign_flip(np.ones(25))
    with pytest.raises(StatisticsError, match="NaN"):
        sign_flip([0.1] * 5 + [np.nan])
    with pytest.raises(StatisticsError, match="must be a list"):
        sign_flip(np.ones((6, 2)))


def test_holm_agrees_with_a_worked_example_in_the_order_of_the_input() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 = 0.02, 0.03, 0.06, 0.04; the last may not fall below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_holm_never_passes_1_and_keeps_a_single_p() -> None:
    assert holm([0.6, 0.7]) == (1, 1)
    assert holm([0.03]) == (0.03,)
    assert holm([]) == ()


def test_holm_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(9)
    order = rng.permutation(9)
    assert np.array(holm(list(p)))[order] == pytest.approx(np.array(holm(list(p[order]))))


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_p(value: float) -> None:
    with pytest.raises(StatisticsError):
        holm([0.5, value])


def test_a_plan_knows_the_smallest_p_and_the_pairs_it_needs() -> None:
    assert smallest_after_holm(6, 1) == 0.03125
    assert smallest_after_holm(6, 2) == 0.0625
    assert smallest_after_holm(3, 10) == 1
    assert [pairs_needed(comparisons) for comparisons in (1, 2, 3, 6, 7)] == [6, 7, 7, 8, 9]
    for comparisons in range(1, 50):
        pairs = pairs_needed(comparisons)
        assert smallest_after_holm(pairs, comparisons) <= 0.05
        assert pairs == 6 or smallest_after_holm(pairs - 1, comparisons) > 0.05
    for call in (lambda: smallest_p(0), lambda: smallest_after_holm(6, 0), lambda: pairs_needed(0)):
        with pytest.raises(StatisticsError, match="at least one"):
            call()
