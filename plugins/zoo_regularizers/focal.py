"""Focal loss."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.bases import Regularizer
from zoo.training.losses import per_sample
from zoo_regularizers import schemas


class Focal(Regularizer):
    """-(1 - p)^gamma log p, p being the probability of the label (Lin et al., "Focal loss for dense object detection", ICCV 2017).

    The paper's factor for each class is left out.
    """

    def __init__(self, gamma: float) -> None:
        self._gamma = gamma

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return a loss per sample `(B,)` for int64 targets `(B,)`; None at gamma 0."""
        if self._gamma == 0:
            return None
        entropy = per_sample(logits, targets)
        # Where p is 1, the power of a gamma below 1 has no derivative; the least number stands for 0.
        uncertain = (-torch.expm1(-entropy)).clamp(min=torch.finfo(entropy.dtype).tiny)
        return uncertain**self._gamma * entropy


def build(params: schemas.Focal) -> Regularizer:
    """Return the regularizer."""
    return Focal(params.gamma)
