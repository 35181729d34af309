from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from zoo.comparison.crossed import (
    Components,
    accuracy,
    detectable,
    differences,
    equivalence,
    interval,
    mean_over,
)
from zoo.errors import StatisticsError

# Shrout and Fleiss, "Intraclass correlations: uses in assessing rater reliability", Psychological Bulletin 1979, table 2:
# four judges rate six targets. Their table 3 has the mean squares 11.24 (targets), 32.49 (judges) and 1.02 (residual).
JUDGES = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]])


def random_table(number: int, seeds: int = 4, items: int = 30) -> NDArray[np.int8]:
    rng = np.random.default_rng(number)
    tilt = rng.normal(size=(seeds, 1)) + 2 * rng.normal(size=items) + rng.normal(size=(seeds, items))
    return np.clip(np.rint(tilt), -1, 1).astype(np.int8)


def test_a_published_table_has_its_mean_squares() -> None:
    found = interval(JUDGES)
    assert found.estimate == pytest.approx(127 / 24)
    assert found.components.residual == pytest.approx(1.02, abs=0.005)
    assert found.components.seed == pytest.approx((32.49 - 1.02) / 6, abs=0.002)
    assert found.components.item == pytest.approx((11.24 - 1.02) / 4, abs=0.003)
    assert found.standard_error == pytest.approx(sqrt((32.49 + 11.24 - 1.02) / 24), abs=0.001)
    degrees = (32.49 + 11.24 - 1.02) ** 2 / (32.49**2 / 3 + 11.24**2 / 5 + 1.02**2 / 15)
    assert found.degrees == pytest.approx(degrees, rel=0.002)
    assert (found.seeds, found.items, found.level, found.covers_seeds) == (4, 6, 0.95, True)


def test_the_decomposition_agrees_with_sums_by_hand() -> None:
    # Means of seeds 2 and 4, of items 1, 3 and 5, of all 3; sums of squares 6 (seeds), 16 (items), 4 (residual).
    found = interval([[1.0, 1.0, 4.0], [1.0, 5.0, 6.0]])
    assert found.components == Components(seed=pytest.approx((6 - 2) / 3), item=pytest.approx((8 - 2) / 2), residual=2)
    assert found.standard_error == pytest.approx(sqrt((6 + 8 - 2) / 6))
    assert found.degrees == pytest.approx(12**2 / (6**2 / 1 + 8**2 / 2 + 2**2 / 2))
    half = stats.t.ppf(0.975, found.degrees) * found.standard_error
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert found.p == pytest.approx(2 * stats.t.cdf(-3 / sqrt(2), found.degrees))


def test_one_seed_is_a_t_test_over_items_and_says_that_seeds_are_not_in_it() -> None:
    values = np.array([[1.0, 0, -1, 1, 1, 0, 1]])
    found, reference = interval(values, level=0.9), stats.ttest_1samp(values[0], 0)
    assert not found.covers_seeds
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.9)))
    assert found.components == Components(None, pytest.approx(values.var(ddof=1)), None)


def test_items_that_do_not_differ_leave_a_t_test_over_seeds() -> None:
    seeds = np.array([0.1, 0.3, -0.2, 0.4])
    found, reference = interval(np.repeat(seeds[:, None], 5, axis=1)), stats.ttest_1samp(seeds, 0)
    assert found.p == pytest.approx(reference.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert found.degrees == pytest.approx(3)


def test_seeds_that_agree_on_every_item_leave_a_t_test_over_items() -> None:
    items = np.array([1.0, 0, 0, -1, 1, 0])
    found, reference = interval(np.repeat(items[None], 4, axis=0)), stats.ttest_1samp(items, 0)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.components.seed == found.components.residual == 0


def test_a_variance_below_the_residuals_gives_way_to_it() -> None:
    found = interval([[1, -1], [-1, 1]])  # neither seeds nor items differ in the mean; the residual's mean square is 4
    assert found.standard_error == pytest.approx(1)
    assert found.components == Components(0, 0, pytest.approx(4))
    assert found.degrees == 1
    assert found.p == 1


@pytest.mark.parametrize(("value", "p_below"), [(0, 2), (1, 0.001), (-1, 0.001)])
@pytest.mark.parametrize("seeds", [1, 3])
def test_cells_that_all_agree_count_as_if_an_item_could_differ(value: int, p_below: float, seeds: int) -> None:
    found = interval(np.full((seeds, 98), value, np.int8))
    assert found.standard_error == pytest.approx(0.01)
    assert found.low < value < found.high
    assert found.p is not None and found.p < p_below and (value != 0 or found.p == 1)


def test_a_constant_that_is_no_answer_has_no_interval() -> None:
    with pytest.raises(StatisticsError, match=r"all 2 × 3 figures are 0\.1: without spread"):
        interval(np.full((2, 3), 0.1))


@pytest.mark.parametrize("number", range(20))
def test_order_of_items_and_seeds_does_not_matter_and_a_change_of_sign_flips(number: int) -> None:
    table, rng = random_table(number, seeds=2 + number % 5), np.random.default_rng(number)
    found = interval(table)
    mixed = interval(table[rng.permutation(len(table))][:, rng.permutation(table.shape[1])])
    flipped = interval(-table)
    scaled = interval(table * 2.5)
    for other, sign, scale in ((mixed, 1, 1), (flipped, -1, 1), (scaled, 1, 2.5)):
        ends = sorted((sign * scale * found.low, sign * scale * found.high))
        assert (other.low, other.high) == pytest.approx(tuple(ends), abs=1e-12)
        assert (other.p, other.degrees) == pytest.approx((found.p, found.degrees))


def test_bytes_floats_and_booleans_give_one_result() -> None:
    table = random_table(1) > 0
    assert interval(table) == interval(table.astype(np.uint8)) == interval(table.astype(np.float64))


def test_a_million_items_need_a_few_rows_of_memory() -> None:
    table = np.random.default_rng(0).integers(-1, 2, (6, 1_000_000), dtype=np.int8)
    tracemalloc.start()
    found = interval(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 8_000_000
    assert found.standard_error == pytest.approx(sqrt(2 / 3 / 6e6), rel=0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.0, np.nan]], "NaN or infinite"),
        ([[0.0, 1.0], [np.inf, 1.0]], "NaN or infinite"),
        ([1.0, 2.0], r"seeds × items, got shape \(2,\)"),
        ([[1.0], [2.0]], r"got shape \(2, 1\)"),
        (np.zeros((0, 5)), r"got shape \(0, 5\)"),
        ([["a", "b"]], "must be numbers"),
    ],
)
def test_figures_that_allow_no_interval_are_refused(values: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        interval(values)  # type: ignore[arg-type]  # wrong on purpose


def test_differences_are_signed_bytes_also_of_unsigned_and_boolean_answers() -> None:
    a, b = np.array([[1, 0, 1, 0]]), np.array([[1, 1, 0, 0]])
    for kind in (bool, np.uint8, np.float64):
        found = differences(a.astype(kind), b.astype(kind))
        assert found.dtype == np.int8
        assert found.tolist() == [[0, -1, 1, 0]]


def test_answers_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(StatisticsError, match=r"\(6, 3\) and \(5, 3\)"):
        differences(np.zeros((6, 3)), np.zeros((5, 3)))
    with pytest.raises(StatisticsError, match=r"second recipe must be 0 \(wrong\) or 1"):
        differences([0, 1], [0, 2])


def test_an_accuracy_is_close_to_wilsons_interval_and_stays_within_0_and_1() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 1998: 81 of 263.
    found = accuracy(np.arange(263)[None] < 81)
    assert found.estimate == pytest.approx(81 / 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=0.001)
    assert found.p is None
    near = accuracy(np.arange(200)[None] < 199)
    assert 0.96 < near.low < 0.995 < near.high < 1


def test_a_faultless_recipe_is_not_certain_and_its_seeds_count_once() -> None:
    quantile = stats.t.ppf(0.975, 99)
    for seeds in (1, 6):
        found = accuracy(np.ones((seeds, 100), bool))
        assert (found.estimate, found.high) == (1, 1)
        assert found.low == pytest.approx(100 / (100 + quantile**2))
    assert accuracy(np.zeros((2, 100))).low == 0


def test_an_accuracy_and_its_errors_mirror_each_other() -> None:
    right = random_table(3, seeds=6, items=200) > 0
    found, wrong = accuracy(right), accuracy(~right)
    assert (found.low, found.high) == pytest.approx((1 - wrong.high, 1 - wrong.low))


def test_seeds_widen_the_interval_of_an_accuracy() -> None:
    steady = np.random.default_rng(0).random((1, 500)) < 0.8
    seeds = np.repeat(steady, 6, axis=0)
    unsteady = seeds.copy()
    unsteady[:3, :60] = False
    unsteady[3:, :60] = True
    widths = [found.high - found.low for found in (accuracy(seeds), accuracy(unsteady))]
    assert widths[1] > 1.5 * widths[0]


def test_tables_of_architectures_average_cell_by_cell() -> None:
    tables = [np.array([[1, 0], [0, 0]], np.int8), np.array([[1, 1], [0, -1]], np.int8)]
    assert mean_over(iter(tables)).tolist() == [[1, 0.5], [0, -0.5]]
    assert tables[0].tolist() == [[1, 0], [0, 0]]
    with pytest.raises(StatisticsError, match="no architecture"):
        mean_over([])
    with pytest.raises(StatisticsError, match="differ in shape"):
        mean_over([tables[0], tables[1][:1]])


@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.004, 0.2])
def test_equivalence_is_two_one_sided_t_tests(shift: float) -> None:
    values = np.random.default_rng(5).normal(shift, 0.1, (1, 400))
    found = equivalence(interval(values), margin=0.02)
    above = stats.ttest_1samp(values[0], -0.02, alternative="greater").pvalue
    below = stats.ttest_1samp(values[0], 0.02, alternative="less").pvalue
    ends = stats.ttest_1samp(values[0], 0).confidence_interval(0.9)
    assert found.p == pytest.approx(max(above, below))
    assert (found.low, found.high) == pytest.approx(tuple(ends))
    assert found.level == pytest.approx(0.9)
    assert found.equivalent == (max(above, below) <= 0.05) == (found.low > -0.02 and found.high < 0.02)


def test_equal_answers_are_equivalent_where_there_are_enough_items() -> None:
    assert not equivalence(interval(np.zeros((6, 100), np.int8))).equivalent
    many = equivalence(interval(np.zeros((6, 2000), np.int8)))
    assert many.equivalent and many.margin == 0.005 and many.p < 0.001


def test_the_detectable_effect_of_many_items_is_2_8_standard_errors() -> None:
    # Bloom, Evaluation Review 1995: 2.80 for 80 % power and 0.05 two-sided with many degrees of freedom.
    found = interval(np.random.default_rng(0).normal(size=(1, 50_000)))
    assert detectable(found) / found.standard_error == pytest.approx(2.80, abs=0.005)


def test_the_detectable_effect_is_found_with_its_power() -> None:
    found = interval(np.repeat([[1.0], [2.0], [4.0], [-1.0], [0.0], [3.0]], 2, axis=1))  # five degrees of freedom
    noncentral = stats.nct(5, detectable(found, power=0.8) / found.standard_error)
    assert noncentral.sf(stats.t.ppf(0.975, 5)) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda found: equivalence(found, margin=0),
        lambda found: equivalence(found, margin=float("nan")),
        lambda found: equivalence(found, alpha=0.5),
        lambda found: detectable(found, alpha=0),
        lambda found: detectable(found, power=1),
        lambda found: interval(JUDGES, level=95),
        lambda found: interval(JUDGES, level=float("nan")),
    ],
)
def test_levels_and_margins_outside_their_range_are_refused(call: Callable[[object], object]) -> None:
    with pytest.raises(StatisticsError, match="must be"):
        call(interval(JUDGES))


def test_the_package_needs_no_torch() -> None:
    code = "import sys, zoo.comparison.crossed, zoo.comparison.paired, zoo.comparison.families; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
