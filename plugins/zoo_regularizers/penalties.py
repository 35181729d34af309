"""Penalties on the weights, added to the loss of each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.bases import Context, Regularizer
from zoo_regularizers import schemas
from zoo_regularizers.spared import spared


class L1(Regularizer):
    """Adds strength · Σ |w| over the weights that train (Tibshirani, "Regression shrinkage and selection via the lasso", JRSS B 1996).

    What weight decay spares is spared here too.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._spared: frozenset[str] = frozenset()

    def bind(self, context: Context) -> None:
        """Learn which parameters are spared."""
        self._spared = spared(context.model)

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return the scalar, or None at strength 0 and where no weight trains."""
        weights = [p for name, p in model.named_parameters() if p.requires_grad and name not in self._spared]
        if self._strength == 0 or not weights:
            return None
        return self._strength * torch.stack([weight.abs().sum() for weight in weights]).sum()


def build_l1(params: schemas.L1) -> Regularizer:
    """Return the regularizer."""
    return L1(params.strength)
