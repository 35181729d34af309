"""Means against classes of unequal size: weights of the loss, of the draw, and shifts of the logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bases import Context, Regularizer
from zoo.errors import ComponentError
from zoo.training.losses import per_sample
from zoo_regularizers import schemas


class ClassWeights(Regularizer):
    """Weights each sample's loss by w_c^strength of its class c, scaled to a mean of 1 over the training samples.

    `balanced` is w_c = N / (C n_c), as in King and Zeng, "Logistic regression in rare events data", Political Analysis 2001,
    and in scikit-learn. A batch's loss is the sum of weighted losses over the number of samples, not over the sum of weights
    as in torch: each sample counts the same in whatever batch it comes.
    """

    def __init__(self, params: schemas.ClassWeights) -> None:
        self._params = params
        self._weights = torch.ones(0)

    def bind(self, context: Context) -> None:
        """Compute the weights; raises ComponentError for a list that does not fit the classes."""
        counts = torch.tensor(context.class_counts, dtype=torch.float64)
        weights = self._given(context) ** self._params.strength
        mean = (counts * weights).sum() / counts.sum()
        if mean == 0:
            raise ComponentError(
                "class-weights gives every training sample the weight 0",
                possible="a weight above 0 for a class that has training samples",
                hint="regularizers.class-weights.weights=balanced",
            )
        self._weights = (weights / mean).float()

    def _given(self, context: Context) -> Tensor:
        if self._params.weights == "balanced":
            return 1 / _counted(context.class_counts)
        if len(self._params.weights) != context.num_classes:
            raise ComponentError(
                f"class-weights has {len(self._params.weights)} weights, and the data has {context.num_classes} classes",
                possible="one weight for each class, in the order of the classes, or balanced",
                hint="regularizers.class-weights.weights=balanced",
            )
        return torch.tensor(self._params.weights, dtype=torch.float64)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return a loss per sample `(B,)` for int64 targets `(B,)`; None at strength 0."""
        if self._params.strength == 0:
            return None
        self._weights = self._weights.to(logits.device)
        return self._weights[targets] * per_sample(logits, targets)


class BalancedSampling(Regularizer):
    """Draws samples with replacement in proportion to n_c^(-strength), n_c being the size of their class.

    A class is then met in proportion to n_c^(1 - strength): at strength 1 all classes alike, at ½ as in the square-root
    sampling of Mahajan et al., "Exploring the limits of weakly supervised pretraining", ECCV 2018.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength

    def sample_weights(self, labels: Tensor) -> Tensor | None:
        """Return float64 `(N,)` weights for int64 labels; None at strength 0, where each sample comes once."""
        if self._strength == 0:
            return None
        return torch.bincount(labels).double()[labels] ** -self._strength


class LogitAdjustment(Regularizer):
    """Cross-entropy of logits + tau · log(n_c / N), n_c being the size of a class, N that of the training split.

    Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, its logit-adjusted loss. Evaluation reads the logits
    as they are, which then are those of classes alike in size. A class without training samples counts as one of one sample.
    """

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._shift = torch.zeros(0)

    def bind(self, context: Context) -> None:
        """Compute the shifts of the logits."""
        prior = _counted(context.class_counts) / context.train_size
        self._shift = (self._tau * prior.log()).float()

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return a loss per sample `(B,)` for int64 targets `(B,)` or distributions `(B, C)`; None at tau 0."""
        if self._tau == 0:
            return None
        self._shift = self._shift.to(logits.device)
        return per_sample(logits.float() + self._shift, targets)


def _counted(class_counts: Sequence[int]) -> Tensor:
    """Return float64 `(C,)` of class sizes, at least 1: a class without training samples has neither weight nor shift of inf."""
    return torch.tensor(class_counts, dtype=torch.float64).clamp(min=1)


def build_class_weights(params: schemas.ClassWeights) -> Regularizer:
    """Return the regularizer."""
    return ClassWeights(params)


def build_balanced_sampling(params: schemas.BalancedSampling) -> Regularizer:
    """Return the regularizer."""
    return BalancedSampling(params.strength)


def build_logit_adjustment(params: schemas.LogitAdjustment) -> Regularizer:
    """Return the regularizer."""
    return LogitAdjustment(params.tau)
