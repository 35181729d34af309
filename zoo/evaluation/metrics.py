"""Figures of a predictions table that add up over its rows, in float64 from logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import DataError
from zoo.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = 5


def log_softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return float64 log-probabilities `(n, C)`."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normalized: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalized


def summarize(predictions: Predictions, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return loss (negative log-likelihood, nats), accuracy, top-5 accuracy (more than five classes), balanced accuracy,
    macro-F1, the Brier score (summed over classes: 0 to 2) and, class by class, samples, precision, recall and F1.

    Ties go to the lowest class index. A figure that is undefined, such as the recall of a class without samples, is None and
    left out of the macro means. Raises DataError on logits that are not finite.
    """
    count, n = len(classes), len(predictions)
    nll = brier = 0.0
    within_top = 0
    for labels, logits in predictions.blocks():
        _require_finite(logits, predictions.split)
        rows = np.arange(len(labels))
        log_probabilities = log_softmax(logits)
        nll -= float(log_probabilities[rows, labels].sum())
        misses = np.exp(log_probabilities)
        misses[rows, labels] -= 1.0
        brier += float(np.square(misses).sum())
        within_top += int((_ranks(logits, labels) < TOP).sum()) if count > TOP else 0
    table = confusion(predictions, count)
    per_class = {name: _of_class(table, index) for index, name in enumerate(classes)}
    return {
        "loss": nll / n,
        "accuracy": int(table.trace()) / n,
        "balanced_accuracy": mean([row["recall"] for row in per_class.values()]),
        "macro_f1": mean([row["f1"] for row in per_class.values() if row["samples"]]),
        **({"top5": within_top / n} if count > TOP else {}),
        "brier": brier / n,
        "classes": per_class,
    }


def confusion(predictions: Predictions, count: int) -> NDArray[np.int64]:
    """Return int64 `(C, C)`: how many samples of each class (rows) were taken for each class (columns)."""
    table = np.zeros(count * count, np.int64)
    for labels, logits in predictions.blocks():
        table += np.bincount(labels * count + logits.argmax(axis=1), minlength=count * count)
    return table.reshape(count, count)


def mean(values: list[float | None]) -> float | None:
    """Return the mean of the values that are defined, None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _require_finite(logits: NDArray[np.float64], split: str) -> None:
    if not np.isfinite(logits).all():
        raise DataError(
            f"the model gave logits that are not finite for {split}", hint="lower optimizer.lr and train anew"
        )


def _ranks(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many classes stand before the right one; a tie ranks a class of lower index first, as argmax does."""
    own = logits[np.arange(len(labels)), labels][:, None]
    ahead = (logits > own) | ((logits == own) & (np.arange(logits.shape[1]) < labels[:, None]))
    ranks: NDArray[np.int64] = ahead.sum(axis=1)
    return ranks


def _of_class(table: NDArray[np.int64], index: int) -> dict[str, Any]:
    hits, samples, guessed = int(table[index, index]), int(table[index].sum()), int(table[:, index].sum())
    return {
        "samples": samples,
        "precision": hits / guessed if guessed else None,
        "recall": hits / samples if samples else None,
        "f1": 2 * hits / (samples + guessed) if samples + guessed else None,
    }
