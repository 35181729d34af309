"""Weights of the loss, of the draw and shifts of the logits against classes of unequal size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fixtures.regularizers import bound
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from zoo.bases import Regularizer
from zoo.data.loader import draw
from zoo.errors import ComponentError
from zoo.training.losses import per_sample

COUNTS = (60, 30, 10)
LABELS = torch.arange(3).repeat_interleave(torch.tensor(COUNTS))
LOGITS = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) * 3


def loss_of(regularizer: Regularizer, logits: Tensor = LOGITS, targets: Tensor = LABELS) -> Tensor:
    loss = regularizer.loss(logits, targets)
    assert loss is not None
    return loss


def test_balanced_weights_are_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    weights = torch.tensor(expected, dtype=torch.float32)
    loss = loss_of(bound("class-weights", class_counts=COUNTS))
    assert torch.allclose(loss, functional.cross_entropy(LOGITS, LABELS, weight=weights, reduction="none"))
    assert weights.tolist() == pytest.approx([100 / 180, 100 / 90, 100 / 30])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"weights": [1.0, 1.0, 1.0]}, [1, 1, 1]),
        ({"weights": [1.0, 2.0, 0.0]}, [1, 2, 0]),
        ({"weights": [4.0, 9.0, 16.0], "strength": 0.5}, [2, 3, 4]),
        ({"strength": 0.5}, [1 / math.sqrt(n) for n in COUNTS]),
    ],
)
def test_weights_have_the_mean_1_over_the_training_samples(params: dict[str, object], expected: list[float]) -> None:
    loss = loss_of(bound("class-weights", class_counts=COUNTS, **params))
    weights = torch.tensor(expected, dtype=torch.float32)[LABELS]
    assert torch.allclose(loss, per_sample(LOGITS, LABELS) * weights / weights.mean(), atol=1e-6)
    flat = loss_of(bound("class-weights", class_counts=COUNTS, **params), torch.zeros(100, 3))
    assert float(flat.mean()) == pytest.approx(math.log(3), abs=1e-6), "the scale of the loss stays"


def test_a_class_without_training_samples_does_no_harm() -> None:
    labels = torch.tensor([0, 0, 2])
    for name in ("class-weights", "logit-adjustment"):
        loss = loss_of(bound(name, class_counts=(2, 0, 1)), LOGITS[:3], labels)
        assert bool(loss.isfinite().all())


def test_weights_that_do_not_fit_the_classes_are_refused() -> None:
    with pytest.raises(ComponentError) as caught:
        bound("class-weights", class_counts=COUNTS, weights=[1.0, 2.0])
    assert str(caught.value) == (
        "class-weights has 2 weights, and the data has 3 classes\n"
        "  possible: one weight for each class, in the order of the classes, or balanced\n"
        "  try: regularizers.class-weights.weights=balanced"
    )
    with pytest.raises(ComponentError, match="class-weights gives every training sample the weight 0"):
        bound("class-weights", class_counts=(3, 0, 2), weights=[0.0, 1.0, 0.0])


def test_weights_to_the_power_of_nought_leave_the_loss_to_the_recipe() -> None:
    assert bound("class-weights", class_counts=COUNTS, strength=0.0).loss(LOGITS, LABELS) is None


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_balanced_sampling_by_hand(strength: float) -> None:
    weights = bound("balanced-sampling", strength=strength).sample_weights(LABELS)
    assert weights is not None and weights.dtype == torch.float64
    expected = [60**-strength, 30**-strength, 10**-strength]
    assert weights[[0, 60, 90]].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("strength", "shares"),
    [(1.0, [1 / 3, 1 / 3, 1 / 3]), (0.5, [w / sum(map(math.sqrt, COUNTS)) for w in map(math.sqrt, COUNTS)])],
)
def test_classes_are_met_as_often_as_the_strength_says(strength: float, shares: list[float]) -> None:
    weights = bound("balanced-sampling", strength=strength).sample_weights(LABELS)
    assert weights is not None
    seen = torch.cat([LABELS[draw(weights, 0, epoch)] for epoch in range(100)])
    # Standard deviation of a share: at most 0.005.
    assert (torch.bincount(seen) / len(seen)).tolist() == pytest.approx(shares, abs=0.02)


def test_sampling_of_nought_meets_each_sample_once() -> None:
    assert bound("balanced-sampling", strength=0.0).sample_weights(LABELS) is None


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_is_the_papers_loss(tau: float) -> None:
    """-log π_y^τ e^{f_y} / Σ π_c^τ e^{f_c}, equation 10."""
    prior = torch.tensor(COUNTS) / 100
    weighted = prior**tau * LOGITS.exp()
    expected = -(weighted[torch.arange(100), LABELS] / weighted.sum(1)).log()
    assert torch.allclose(
        loss_of(bound("logit-adjustment", class_counts=COUNTS, tau=tau)), expected, rtol=1e-4, atol=1e-5
    )


def test_logit_adjustment_takes_mixed_targets() -> None:
    regularizer = bound("logit-adjustment", class_counts=COUNTS)
    mixed = 0.3 * functional.one_hot(LABELS, 3) + 0.7 * functional.one_hot((LABELS + 1) % 3, 3)
    expected = 0.3 * loss_of(regularizer) + 0.7 * loss_of(regularizer, targets=(LABELS + 1) % 3)
    assert torch.allclose(loss_of(regularizer, targets=mixed), expected, atol=1e-5)


def test_logit_adjustment_of_nought_leaves_the_loss_to_the_recipe() -> None:
    assert bound("logit-adjustment", class_counts=COUNTS, tau=0.0).loss(LOGITS, LABELS) is None
