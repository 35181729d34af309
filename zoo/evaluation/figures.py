"""All figures of a predictions table, for `zoo eval` and reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats

from zoo.evaluation.calibration import (
    Temperature,
    calibration_error,
    equal_mass,
    equal_width,
    negative_log_likelihood,
)
from zoo.evaluation.metrics import confusion, log_softmax, mean, summarize
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.ranking import Confidences, one_vs_rest

LEVEL = 0.95
CONFUSIONS = 20  # pairs of classes that are listed


def describe(
    predictions: Predictions, classes: tuple[str, ...], temperature: Temperature | None = None
) -> dict[str, Any]:
    """Return what `summarize` returns, and: AUROC and average precision (one against the rest: macro means and class by class),
    calibration errors (`ece` by width, `ece_mass` by mass), the reliability diagram, risk-coverage with its area `aurc`, the
    most frequent confusions, 95 % intervals of accuracy and loss, and with a `temperature` the loss and ECE that it gives,
    or the reason why there is none.

    The intervals are over the samples of the split for this one trained model: another seed is not in them.
    """
    figures = summarize(predictions, classes)
    for row, (auroc, precision) in zip(
        figures["classes"].values(), one_vs_rest(predictions, len(classes)), strict=True
    ):
        row.update(auroc=auroc, average_precision=precision)
    confidences = Confidences(predictions)
    reliability = equal_width(confidences)
    per_class = figures.pop("classes")
    return {
        **figures,
        "auroc": mean([row["auroc"] for row in per_class.values()]),
        "average_precision": mean([row["average_precision"] for row in per_class.values()]),
        "ece": calibration_error(reliability),
        "ece_mass": calibration_error(equal_mass(confidences)),
        "aurc": confidences.aurc(),
        "intervals": _intervals(predictions, figures),
        **({} if temperature is None else {"calibrated": _calibrated(predictions, temperature)}),
        "reliability": [asdict(each) for each in reliability],
        "risk_coverage": confidences.risk_coverage(),
        "confusions": _confusions(predictions, classes),
        "classes": per_class,
    }


def _calibrated(predictions: Predictions, temperature: Temperature) -> dict[str, float | str | None]:
    found = temperature.value
    return {
        "temperature": found,
        "loss": None if found is None else negative_log_likelihood(predictions, found),
        "ece": None if found is None else calibration_error(equal_width(Confidences(predictions, found))),
        "reason": temperature.reason,
    }


def _intervals(predictions: Predictions, figures: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return Wilson's interval of accuracy (1927), and the normal one of the mean loss."""
    n = len(predictions)
    hits = round(figures["accuracy"] * n)
    wilson = stats.binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
    squares = 0.0
    for labels, logits in predictions.blocks():
        losses = -log_softmax(logits)[np.arange(len(labels)), labels]
        squares += float(np.square(losses - figures["loss"]).sum())
    margin = float(stats.norm.ppf((1 + LEVEL) / 2)) * (squares / max(n - 1, 1) / n) ** 0.5
    return {
        "accuracy": (float(wilson.low), float(wilson.high)),
        "loss": (figures["loss"] - margin, figures["loss"] + margin),
    }


def _confusions(predictions: Predictions, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    table = confusion(predictions, len(classes))
    np.fill_diagonal(table, 0)
    places = np.argsort(-table, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in places]
    return [
        {"class": classes[true], "taken_for": classes[guess], "samples": int(table[true, guess])}
        for true, guess in pairs
        if table[true, guess]
    ]
