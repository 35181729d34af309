"""Figures that depend on the order of all scores: AUROC, average precision, and the risk at a coverage.

Scores lie in columns that are sorted in place, on the disk where they are large; what is counted above a threshold is then a
binary search. Equal scores are never told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from zoo.evaluation.columns import blocks, empty
from zoo.evaluation.metrics import log_softmax
from zoo.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

Column = "NDArray[np.float64]"


def one_vs_rest(predictions: Predictions, count: int) -> Iterator[tuple[float | None, float | None]]:
    """Yield (AUROC, average precision) of each class against all others, by its log-probability.

    AUROC is the share of pairs of a sample of the class and another that are ranked right, ties counting half; None where one
    of the two sorts is missing. Average precision is the mean, over samples of the class, of the precision among all that score
    at least as high: scikit-learn's definition; None for a class without samples.
    """
    sizes = np.bincount(predictions.labels, minlength=count)
    scores = empty((count, len(predictions)), np.float64)  # of each class: its own samples first, then all others
    own, others = np.zeros(count, np.int64), sizes.copy()
    for labels, logits in predictions.blocks():
        log_probabilities = log_softmax(logits)
        for index in range(count):
            of_class, column = labels == index, log_probabilities[:, index]
            for cursor, part in ((own, column[of_class]), (others, column[~of_class])):
                scores[index, cursor[index] : cursor[index] + len(part)] = part
                cursor[index] += len(part)
    for row, size in zip(scores, sizes.tolist(), strict=True):
        positives, negatives = row[:size], row[size:]
        positives.sort()
        negatives.sort()
        yield _auroc(positives, negatives), _average_precision(positives, negatives)


def _auroc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float | None:
    if not len(positives) or not len(negatives):
        return None
    twice = 0  # a pair that is ranked right counts two, a tie one
    for rows in blocks(len(positives)):
        twice += sum(int(np.searchsorted(negatives, positives[rows], side).sum()) for side in ("left", "right"))
    return twice / (2 * len(positives) * len(negatives))


def _average_precision(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float | None:
    if not len(positives):
        return None
    total = 0.0
    for rows in blocks(len(positives)):
        hits = at_least(positives, positives[rows])
        total += float((hits / (hits + at_least(negatives, positives[rows]))).sum())
    return total / len(positives)


def at_least(ascending: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many of the sorted scores are at least as high as each threshold."""
    counts: NDArray[np.int64] = len(ascending) - np.searchsorted(ascending, thresholds, "left")
    return counts


class Confidences:
    """Probabilities of the classes that a model chose, in ascending order: of all samples, and of those it got right.

    Logits are divided by `temperature` first.
    """

    def __init__(self, predictions: Predictions, temperature: float = 1.0) -> None:
        self.all = empty((len(predictions),), np.float64)
        right = empty((len(predictions),), np.float64)
        done = hits = 0
        for labels, logits in predictions.blocks():
            confidence = np.exp(log_softmax(logits / temperature).max(axis=1))
            part = confidence[logits.argmax(axis=1) == labels]
            self.all[done : done + len(labels)] = confidence
            right[hits : hits + len(part)] = part
            done, hits = done + len(labels), hits + len(part)
        self.right = right[:hits]
        self.all.sort()
        self.right.sort()

    def risk(self, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of wrong answers among those at least as confident as each threshold."""
        kept = at_least(self.all, thresholds)
        risks: NDArray[np.float64] = 1 - at_least(self.right, thresholds) / kept
        return risks

    def aurc(self) -> float:
        """Return the area under the risk-coverage curve: the mean risk when each sample in turn is the last to be answered.

        Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.
        """
        total = sum(float(self.risk(self.all[rows]).sum()) for rows in blocks(len(self.all)))
        return total / len(self.all)

    def risk_coverage(self, points: int = 20) -> list[tuple[float, float]]:
        """Return (coverage, risk) at even steps of coverage up to 1; samples of equal confidence are answered together."""
        n = len(self.all)
        wanted = [n - -(-n * step // points) for step in range(1, points + 1)]
        thresholds = np.unique(self.all[wanted])[::-1]
        coverage = at_least(self.all, thresholds) / n
        return list(zip(coverage.tolist(), self.risk(thresholds).tolist(), strict=True))
