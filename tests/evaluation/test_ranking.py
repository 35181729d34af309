from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from zoo.evaluation import columns
from zoo.evaluation.metrics import log_softmax
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.ranking import Confidences, one_vs_rest


def table(logits: np.ndarray, labels: np.ndarray) -> Predictions:
    return Predictions("test", np.arange(len(labels)), labels.astype(np.int64), logits.astype(np.float32))


def random_table(ties: bool = False, n: int = 400, classes: int = 4) -> Predictions:
    rng = np.random.default_rng(3)
    logits = rng.integers(-1, 2, (n, classes)) if ties else rng.normal(size=(n, classes))
    labels = rng.integers(0, classes, n)
    return table(logits + 0.5 * np.eye(classes)[labels] * (not ties), labels)


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_and_average_precision_agree_with_scikit_learn(ties: bool) -> None:
    rows = random_table(ties)
    scores = log_softmax(rows.logits)
    for index, (auroc, precision) in enumerate(one_vs_rest(rows, 4)):
        of_class = rows.labels == index
        assert auroc == pytest.approx(reference.roc_auc_score(of_class, scores[:, index]), abs=1e-12)
        assert precision == pytest.approx(reference.average_precision_score(of_class, scores[:, index]), abs=1e-12)


def test_a_class_without_samples_has_no_figures_and_one_with_all_has_no_auroc() -> None:
    rows = table(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 0]))
    assert list(one_vs_rest(rows, 2)) == [(None, 1.0), (None, None)]


def test_equal_scores_count_half() -> None:
    rows = table(np.zeros((4, 2)), np.array([0, 0, 1, 1]))
    assert list(one_vs_rest(rows, 2)) == [(0.5, 0.5), (0.5, 0.5)]


def test_the_area_under_the_risk_coverage_curve_is_the_mean_of_its_risks() -> None:
    """By hand: confidences .9 right, .8 wrong, .7 right, .6 wrong give risks 0, 1/2, 1/3, 1/2."""
    p = np.array([0.9, 0.8, 0.7, 0.6])
    rows = table(np.log(np.stack([p, 1 - p], 1)), np.array([0, 1, 0, 1]))
    confidences = Confidences(rows)
    assert confidences.aurc() == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4, abs=1e-7)
    assert confidences.risk_coverage(4) == [
        (0.25, 0.0),
        (0.5, 0.5),
        (0.75, pytest.approx(1 / 3)),
        (1.0, 0.5),
    ]


def test_samples_of_equal_confidence_are_answered_together() -> None:
    rows = table(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0, 0, 0]))
    confidences = Confidences(rows)
    assert confidences.aurc() == pytest.approx(1 / 3)
    assert confidences.risk_coverage(3) == [(1.0, pytest.approx(1 / 3))]


def test_columns_on_the_disk_give_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_table(ties=True)
    expected = (list(one_vs_rest(rows, 4)), Confidences(rows).aurc())
    monkeypatch.setattr(columns, "IN_MEMORY", 0)
    monkeypatch.setattr(columns, "BLOCK", 64)
    assert isinstance(columns.empty((2,), np.float64), np.memmap)
    found = (list(one_vs_rest(rows, 4)), Confidences(rows).aurc())
    assert found[0] == [(pytest.approx(a, abs=1e-12), pytest.approx(p, abs=1e-12)) for a, p in expected[0]]
    assert found[1] == pytest.approx(expected[1], abs=1e-12)
