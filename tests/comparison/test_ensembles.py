from __future__ import annotations

import numpy as np
import pytest

from tests.comparison.conftest import LSTM, NET, Comparison
from zoo.evaluation.predictions import Saved


def probabilities(compared: Comparison, recipe: str) -> list[np.ndarray]:
    found = []
    for each in compared.done:
        if (each.cell.contestant, each.cell.value) == (recipe, "300"):
            logits = Saved.load(each.run.predictions("test")).predictions.logits.astype(np.float64)
            exponentials = np.exp(logits - logits.max(1, keepdims=True))
            found.append(exponentials / exponentials.sum(1, keepdims=True))
    return found


def test_an_ensemble_answers_by_the_mean_probability_of_both_members(compared: Comparison) -> None:
    (row,) = compared.analysis["conditions"][1]["ensembles"]
    labels = Saved.load(compared.done[0].run.predictions("test")).predictions.labels
    nets, lstms = probabilities(compared, NET), probabilities(compared, LSTM)
    right = [((a + b).argmax(1) == labels).mean() for a, b in zip(nets, lstms, strict=True)]
    assert (row["a"], row["b"], row["macs"]) == ("cnn", "rnn", 2000)
    assert row["pairs"] == [{"members": [NET, LSTM], "accuracy": pytest.approx(np.mean(right)), "macs": 2000}]
    assert row["accuracy"]["estimate"] == pytest.approx(np.mean(right))
    alone = [(p.argmax(1) == labels).mean() for p in nets]  # the net is the better one on validation here
    assert row["gain"]["estimate"] == pytest.approx(np.mean(right) - np.mean(alone))
