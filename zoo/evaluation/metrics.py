"""Figures of a predictions table, computed in float64 from logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import DataError
from zoo.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


def log_softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return float64 log-probabilities `(n, C)`."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normalized: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalized


def summarize(predictions: Predictions, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return loss (nats), accuracy, top-5 accuracy (more than five classes), balanced accuracy, macro-F1 and, class by
    class, samples, precision, recall and F1.

    Ties go to the lowest class index. A figure that is undefined, such as the recall of a class without samples, is None and
    left out of the macro means. Raises DataError on logits that are not finite.
    """
    logits, labels = predictions.logits, predictions.labels
    if not np.isfinite(logits).all():
        raise DataError(
            f"the model gave logits that are not finite for {predictions.split}",
            hint="lower optimizer.lr and train anew",
        )
    rows = np.arange(len(labels))
    guess = logits.argmax(axis=1)
    count = len(classes)
    confusion = np.bincount(labels * count + guess, minlength=count * count).reshape(count, count)
    table = {name: _of_class(confusion, index) for index, name in enumerate(classes)}
    figures: dict[str, Any] = {
        "loss": float(-log_softmax(logits)[rows, labels].mean()),
        "accuracy": float((guess == labels).mean()),
        "balanced_accuracy": _mean([row["recall"] for row in table.values()]),
        "macro_f1": _mean([row["f1"] for row in table.values() if row["samples"]]),
    }
    if count > 5:
        own = logits[rows, labels][:, None]
        # A tie ranks a class of lower index first, as argmax does.
        ahead = (logits > own) | ((logits == own) & (np.arange(count) < labels[:, None]))
        figures["top5"] = float((ahead.sum(axis=1) < 5).mean())
    return {**figures, "classes": table}


def _of_class(confusion: NDArray[np.int64], index: int) -> dict[str, Any]:
    hits, samples, guessed = int(confusion[index, index]), int(confusion[index].sum()), int(confusion[:, index].sum())
    return {
        "samples": samples,
        "precision": hits / guessed if guessed else None,
        "recall": hits / samples if samples else None,
        "f1": 2 * hits / (samples + guessed) if samples + guessed else None,
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
