from __future__ import annotations

import numpy as np
import pytest
from fixtures.simulations import by_hand

from zoo.active.curves import area, band, first_within, needed, shared, smoothed, together, weights
from zoo.errors import StatisticsError

ANSWERS = np.array([10.0, 20.0, 40.0])
CURVE = by_hand("entropy", 0, [10, 20, 40], [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]])  # 25 %, 50 %, 100 %


def test_the_area_is_that_of_trapezoids_over_the_range() -> None:
    # (10 × 0.375 + 20 × 0.75) / 30
    assert area(CURVE, "accuracy", 10, 40) == pytest.approx(18.75 / 30)
    assert weights(ANSWERS, 10, 40) == pytest.approx([5 / 30, 15 / 30, 10 / 30])


def test_the_area_of_a_part_cuts_the_lines_between_rounds() -> None:
    # From 15 (37.5 %) over 20 (50 %) to 30 (75 %): (5 × 0.4375 + 10 × 0.625) / 15.
    assert area(CURVE, "accuracy", 15, 30) == pytest.approx(8.4375 / 15)
    assert area(CURVE, "accuracy", 30, 30) == pytest.approx(0.75)
    assert area(by_hand("a", 0, [10], [[1, 0]]), "accuracy", 10, 10) == pytest.approx(0.5)


def test_items_have_their_own_area_and_the_mean_of_these_is_the_curves() -> None:
    # The third item is wrong up to 20, then rises to right at 40: 10 of 30 answers.
    assert CURVE.right_over(10, 40) == pytest.approx([1, 25 / 30, 10 / 30, 10 / 30])
    assert CURVE.right_over(10, 40).mean() == pytest.approx(area(CURVE, "accuracy", 10, 40))


def test_between_rounds_an_item_is_as_right_as_the_line_says() -> None:
    assert CURVE.right_at(20).tolist() == [1, 1, 0, 0]
    assert CURVE.right_at(35) == pytest.approx([1, 1, 0.75, 0.75])


def test_curves_stand_together_where_all_of_them_are() -> None:
    other = by_hand("entropy", 1, [20, 30, 50], [[0, 0], [1, 0], [1, 1]])
    found = together([CURVE, other], "accuracy")
    assert shared([CURVE, other]) == (20, 40)
    assert found.answers.tolist() == [20, 30, 40]
    assert found.values == pytest.approx(np.array([[0.5, 0.75, 1.0], [0.0, 0.5, 0.75]]))
    assert found.mean == pytest.approx([0.25, 0.625, 0.875])


def test_curves_without_a_number_of_answers_in_common_have_no_points() -> None:
    found = together([CURVE, by_hand("entropy", 1, [50], [[1, 0]])], "accuracy")
    assert found.answers.size == found.mean.size == 0


def test_a_value_is_reached_on_the_line_of_the_best_so_far() -> None:
    answers, mean = np.array([10.0, 20.0, 30.0, 40.0]), np.array([0.5, 0.7, 0.6, 0.9])
    assert needed(answers, mean, 0.6) == pytest.approx(15)
    assert needed(answers, mean, 0.7) == pytest.approx(20)
    assert needed(answers, mean, 0.8) == pytest.approx(35)  # from 0.7, the best at 30, to 0.9
    assert needed(answers, mean, 0.3) == 10
    assert needed(answers, mean, 0.91) is None


def test_a_target_is_reached_in_the_first_round_whose_smoothed_error_is_within_it() -> None:
    answers, errors = np.array([10.0, 20.0, 30.0, 40.0]), 1 - np.array([0.5, 0.95, 0.8, 0.95])
    assert first_within(answers, errors, 0.05) == 20  # although 1 - 0.95 is above 0.05 in floats
    assert smoothed(errors, 2) == pytest.approx([0.5, 0.275, 0.125, 0.125])
    assert first_within(answers, smoothed(errors, 2), 0.125) == 30
    assert first_within(answers, errors, 0.01) is None


def test_the_band_repeats_and_covers_the_mean_and_one_seed_has_none() -> None:
    values = np.array([[0.5, 0.8], [0.6, 0.9], [0.7, 0.7]])
    ends = band(values, 0.95)
    assert ends is not None
    low, high = ends
    assert (low < values.mean(axis=0)).all() and (high > values.mean(axis=0)).all()
    # All three draws are the lowest seed with 1 in 27, more than the 2.5 % that are cut.
    assert low.tolist() == pytest.approx([0.5, 0.7]) and high.tolist() == pytest.approx([0.7, 0.9])
    assert np.array_equal(np.array(band(values, 0.95)), np.array(ends))
    assert band(values[:1], 0.95) is None


def test_a_metric_that_a_round_lacks_is_told() -> None:
    with pytest.raises(StatisticsError, match="entropy with seed 0 lacks mc_accuracy in 3 rounds"):
        CURVE.values("mc_accuracy")
