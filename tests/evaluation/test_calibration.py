from __future__ import annotations

import math

import numpy as np
import pytest

from zoo.evaluation.calibration import (
    calibration_error,
    equal_mass,
    equal_width,
    fit_temperature,
)
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.ranking import Confidences


def table(confidences: list[float], right: list[bool]) -> Predictions:
    """Return rows of two classes whose first class has these probabilities and is right where asked."""
    p = np.array(confidences)
    logits = np.log(np.stack([p, 1 - p], 1)).astype(np.float32)
    return Predictions("test", np.arange(len(p)), np.where(right, 0, 1), logits)


ROWS = table([0.95, 0.85, 0.65, 0.55], [True, False, True, False])


def test_bins_of_equal_width_by_hand() -> None:
    bins = equal_width(Confidences(ROWS), 5)  # (.4, .6], (.6, .8], (.8, 1]
    assert [(each.samples, round(each.confidence, 6), each.accuracy) for each in bins] == [
        (1, 0.55, 0.0),
        (1, 0.65, 1.0),
        (2, 0.9, 0.5),
    ]
    assert calibration_error(bins) == pytest.approx(0.25 * 0.55 + 0.25 * 0.35 + 0.5 * 0.4, abs=1e-7)


def test_bins_of_equal_mass_by_hand() -> None:
    bins = equal_mass(Confidences(ROWS), 2)
    assert [(each.samples, round(each.confidence, 6), each.accuracy) for each in bins] == [
        (2, 0.6, 0.5),
        (2, 0.9, 0.5),
    ]


def test_equal_confidences_share_a_bin_and_few_samples_make_few_bins() -> None:
    bins = equal_mass(Confidences(table([0.7] * 5, [True, True, True, False, False])), 15)
    assert [(each.samples, each.accuracy) for each in bins] == [(5, 0.6)]
    assert calibration_error(bins) == pytest.approx(0.1, abs=1e-6)


def test_the_right_answer_with_probability_one_stands_in_the_last_bin() -> None:
    rows = Predictions("test", np.arange(2), np.zeros(2, np.int64), np.array([[200.0, 0], [200, 0]], np.float32))
    bins = equal_width(Confidences(rows))
    assert [(each.samples, each.confidence, each.accuracy) for each in bins] == [(2, 1.0, 1.0)]


def test_the_temperature_undoes_a_scale_of_the_logits() -> None:
    """Labels drawn from softmax(logits) are calibrated at T = 1; logits three times as large need T = 3."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)) * 2
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    once = fit_temperature(Predictions("validation", np.arange(20_000), labels, logits.astype(np.float32)))
    thrice = fit_temperature(Predictions("validation", np.arange(20_000), labels, (3 * logits).astype(np.float32)))
    assert once.value == pytest.approx(1, abs=0.03)
    assert thrice.value == pytest.approx(3 * (once.value or 0), rel=1e-6)


def test_the_temperature_of_two_answers_by_hand() -> None:
    """Of answers sure by a = 1 of two classes, three of four right: sigmoid(1 / T) = 3 / 4, so T = 1 / ln 3."""
    logits = np.tile(np.array([[1.0, 0.0]], np.float32), (4, 1))
    found = fit_temperature(Predictions("validation", np.arange(4), np.array([0, 0, 0, 1]), logits))
    assert found.value == pytest.approx(1 / math.log(3), abs=1e-9) and found.reason is None


@pytest.mark.parametrize("scale", [1, 100])
def test_answers_that_are_all_right_fit_no_temperature(scale: float) -> None:
    rows = table([0.9, 0.8], [True, True])
    found = fit_temperature(Predictions("validation", rows.samples, rows.labels, rows.logits * np.float32(scale)))
    assert (
        found.value is None
        and found.reason == "all 2 answers are right, and the colder the lower the loss, down to 0.0025"
    )


def test_answers_that_are_no_better_than_guesses_fit_no_temperature() -> None:
    found = fit_temperature(table([0.9, 0.8], [False, False]))
    assert found.value is None and str(found.reason).startswith("the hotter the lower the loss, up to 403")


def test_a_temperature_below_the_range_is_none() -> None:
    """As by hand above, of logits of 1 / 1,000: T = 0.00091."""
    logits = np.tile(np.array([[0.001, 0.0]], np.float32), (4, 1))
    found = fit_temperature(Predictions("validation", np.arange(4), np.array([0, 0, 0, 1]), logits))
    assert found.value is None and found.reason == "the colder the lower the loss, down to 0.0025"
