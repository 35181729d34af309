"""How far a model's probabilities can be believed: calibration error, reliability diagram, temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from zoo.evaluation.metrics import log_softmax
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.ranking import Confidences

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
_LOG_TEMPERATURES = (-6.0, 6.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """Samples of similar confidence: how many, their mean confidence, and the share that is right."""

    samples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Temperature:
    """The temperature that fits a model's answers, or None and in words the reason why none does."""

    value: float | None
    reason: str | None = None


def equal_width(confidences: Confidences, bins: int = BINS) -> list[Bin]:
    """Return the bins (k / bins, (k + 1) / bins] that hold samples: the reliability diagram.

    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    return _bins(confidences, np.arange(1, bins + 1) / bins)


def equal_mass(confidences: Confidences, bins: int = BINS) -> list[Bin]:
    """Return bins of equally many samples; samples of equal confidence share a bin.

    Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural language processing models", EMNLP 2015.
    """
    n = len(confidences.all)
    last = [-(-n * k // bins) - 1 for k in range(1, bins + 1)]
    return _bins(confidences, np.unique(confidences.all[last]))


def _bins(confidences: Confidences, upper: NDArray[np.float64]) -> list[Bin]:
    upper = np.append(upper[:-1], np.inf)  # a probability of 1 may be rounded up
    ends = np.searchsorted(confidences.all, upper, "right")
    right = np.diff(np.searchsorted(confidences.right, upper, "right"), prepend=0)
    starts = np.concatenate([[0], ends[:-1]])
    return [
        Bin(int(b - a), float(confidences.all[a:b].mean()), int(hits) / int(b - a))
        for a, b, hits in zip(starts, ends, right, strict=True)
        if b > a
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Return the expected calibration error: the mean of |accuracy - confidence| over samples, bin by bin.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    total = sum(each.samples for each in bins)
    return sum(each.samples / total * abs(each.accuracy - each.confidence) for each in bins)


def negative_log_likelihood(predictions: Predictions, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood in nats, of logits divided by `temperature`."""
    total = 0.0
    for labels, logits in predictions.blocks():
        total -= float(log_softmax(logits / temperature)[np.arange(len(labels)), labels].sum())
    return total / len(predictions)


def fit_temperature(validation: Predictions) -> Temperature:
    """Return the temperature that gives the lowest negative log-likelihood on validation (Guo et al., ICML 2017).

    The loss is convex in 1 / T, so that its slope at both ends tells whether there is a lowest one between e⁻⁶ and e⁶. Without
    one there is no temperature: where every answer is right the loss falls on towards 0, and where the right classes
    have no more than the mean logit it falls on towards infinity.
    """
    coldest, hottest = _LOG_TEMPERATURES
    if _slope(validation, coldest) <= 0:
        right = all((logits.argmax(1) == labels).all() for labels, logits in validation.blocks())
        colder = f"the colder the lower the loss, down to {math.exp(coldest):.2g}"
        return Temperature(None, f"all {len(validation):,} answers are right, and {colder}" if right else colder)
    if _slope(validation, hottest) >= 0:
        return Temperature(None, f"the hotter the lower the loss, up to {math.exp(hottest):.0f}, as with guesses")
    return Temperature(math.exp(optimize.brentq(lambda log: _slope(validation, log), coldest, hottest)))


def _slope(predictions: Predictions, log_temperature: float) -> float:
    """Return the derivative of the summed loss by 1 / T: by how much the expected logit is above the right class's."""
    total = 0.0
    for labels, logits in predictions.blocks():
        above = logits - logits[np.arange(len(labels)), labels][:, None]
        total += float((np.exp(log_softmax(logits / math.exp(log_temperature))) * above).sum())
    return total
