from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from zoo.errors import DataError
from zoo.evaluation.metrics import log_softmax, summarize
from zoo.evaluation.predictions import Predictions


def table(logits: np.ndarray, labels: np.ndarray) -> Predictions:
    return Predictions("test", np.arange(len(labels)), labels.astype(np.int64), logits.astype(np.float32))


def test_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(500, 8)).astype(np.float32), rng.integers(0, 8, 500)
    figures = summarize(table(logits, labels), tuple("abcdefgh"))
    guess, probabilities = logits.argmax(1), np.exp(log_softmax(logits))
    precision, recall, f1, support = reference.precision_recall_fscore_support(labels, guess)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(labels, guess), abs=1e-12)
    assert figures["loss"] == pytest.approx(reference.log_loss(labels, probabilities), abs=1e-12)
    assert figures["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(labels, guess), abs=1e-12)
    assert figures["macro_f1"] == pytest.approx(reference.f1_score(labels, guess, average="macro"), abs=1e-12)
    assert figures["top5"] == pytest.approx(reference.top_k_accuracy_score(labels, probabilities, k=5), abs=1e-12)
    for index, name in enumerate("abcdefgh"):
        row = figures["classes"][name]
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx(
            (precision[index], recall[index], f1[index]), abs=1e-12
        )
        assert row["samples"] == support[index]


def test_a_class_without_samples_is_none_and_left_out_of_means() -> None:
    logits = np.array([[2.0, 0, 0], [0, 2, 0], [2, 0, 0]])
    figures = summarize(table(logits, np.array([0, 1, 1])), ("a", "b", "c"))
    assert figures["classes"]["c"] == {"samples": 0, "precision": None, "recall": None, "f1": None}
    assert figures["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert "top5" not in figures


def test_ties_go_to_the_lowest_class() -> None:
    logits = np.zeros((2, 7))
    figures = summarize(table(logits, np.array([0, 5])), tuple("abcdefg"))
    assert figures["accuracy"] == 0.5
    assert figures["top5"] == 0.5


def test_loss_is_not_clipped_far_from_the_answer() -> None:
    figures = summarize(table(np.array([[0.0, 200.0]]), np.array([0])), ("a", "b"))
    assert figures["loss"] == pytest.approx(200)


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        summarize(table(np.array([[np.nan, 0.0]]), np.array([0])), ("a", "b"))
