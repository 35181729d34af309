from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from zoo.errors import DataError
from zoo.evaluation.calibration import Temperature
from zoo.evaluation.figures import describe
from zoo.evaluation.metrics import log_softmax
from zoo.evaluation.predictions import Predictions


def rows(n: int = 300) -> Predictions:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, n)
    return Predictions("test", np.arange(n), labels, (rng.normal(size=(n, 3)) + np.eye(3)[labels]).astype(np.float32))


def test_all_figures_are_json_and_agree_with_scikit_learn() -> None:
    table = rows()
    figures = json.loads(json.dumps(describe(table, ("a", "b", "c"), temperature=Temperature(2.0))))
    probabilities = np.exp(log_softmax(table.logits))
    assert figures["auroc"] == pytest.approx(
        reference.roc_auc_score(table.labels, probabilities, multi_class="ovr"), abs=1e-12
    )
    assert figures["average_precision"] == pytest.approx(
        reference.average_precision_score(np.eye(3)[table.labels], probabilities), abs=1e-12
    )
    brier = np.square(probabilities - np.eye(3)[table.labels]).sum(1).mean()
    assert figures["brier"] == pytest.approx(brier, abs=1e-12)
    calibrated = np.exp(log_softmax(table.logits / 2))
    assert figures["calibrated"]["loss"] == pytest.approx(reference.log_loss(table.labels, calibrated), abs=1e-6)
    assert sum(each["samples"] for each in figures["reliability"]) == 300
    assert figures["risk_coverage"][-1] == [1.0, pytest.approx(1 - figures["accuracy"])]
    wrong = reference.confusion_matrix(table.labels, table.logits.argmax(1))
    np.fill_diagonal(wrong, 0)
    assert [each["samples"] for each in figures["confusions"]] == sorted(wrong[wrong > 0].tolist(), reverse=True)


def test_the_interval_of_accuracy_is_wilsons() -> None:
    """Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 2001, section 3.1.1, by hand."""
    labels = np.array([0] * 8 + [1] * 2)
    logits = np.tile(np.array([[1.0, 0.0]], np.float32), (10, 1))
    low, high = describe(Predictions("test", np.arange(10), labels, logits), ("a", "b"))["intervals"]["accuracy"]
    z = 1.959963984540054
    centre, margin = (8 + z * z / 2) / (10 + z * z), z * (10**0.5) / (10 + z * z) * (0.16 + z * z / 40) ** 0.5
    assert (low, high) == pytest.approx((centre - margin, centre + margin), abs=1e-12)


def test_logits_that_are_not_finite_are_refused() -> None:
    table = rows()
    table.logits[7, 1] = np.inf
    with pytest.raises(DataError, match="not finite"):
        describe(table, ("a", "b", "c"))


def test_without_a_temperature_that_fits_the_reason_stands_in_its_place() -> None:
    figures = describe(rows(), ("a", "b", "c"), Temperature(None, "all 22 answers are right"))
    assert figures["calibrated"] == {
        "temperature": None,
        "loss": None,
        "ece": None,
        "reason": "all 22 answers are right",
    }
