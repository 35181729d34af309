"""Stochastic depth."""

from __future__ import annotations

from torch import nn

from zoo.bases import Regularizer
from zoo_regularizers import schemas


class DropPath(Regularizer):
    """Checks that the rate reached the model (Huang et al., "Deep networks with stochastic depth", ECCV 2016).

    The architecture's factory gets it as `drop_path_rate` and puts modules with a `drop_prob` of their own into its residual
    branches: 0 in the first block, the rate in the last, as in timm; the paper's law for block l of L is l / L of the rate. They draw inside the stream of the forward pass,
    have no parameters, and do nothing in evaluation.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def apply_to_model(self, model: nn.Module) -> int | None:
        """Return how many branches are skipped at times, or None at rate 0."""
        return sum(_probability(module) > 0 for module in model.modules()) if self._rate else None


def _probability(module: nn.Module) -> float:
    # timm's module has the same attribute as zoo's; to import timm for its type would take seconds.
    value = getattr(module, "drop_prob", None)
    return value if isinstance(value, float) else 0.0


def build(params: schemas.DropPath) -> Regularizer:
    """Return the regularizer."""
    return DropPath(params.rate)
