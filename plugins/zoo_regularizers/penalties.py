"""Penalties on the weights, added to the loss of each step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.bases import Context, Regularizer
from zoo.errors import ComponentError
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


class L2(Regularizer):
    """Adds strength · Σ w² over the weights that train (Hoerl and Kennard, "Ridge regression", Technometrics 1970).

    What weight decay spares is spared here too. The sum is of the named modules alone, where `layers` names some, and with
    `per_sample` the strength is divided by the number of training samples.
    """

    def __init__(self, params: schemas.L2) -> None:
        self._params = params
        self._strength = params.strength
        self._names: frozenset[str] = frozenset()

    def bind(self, context: Context) -> None:
        """Learn which weights count, and how many samples there are; raises ComponentError for a layer without weights."""
        self._names = _weights(context.model, self._params.layers)
        if self._params.per_sample:
            self._strength = self._params.strength / context.train_size

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return the scalar, or None at strength 0 and where no weight trains."""
        weights = [p for name, p in model.named_parameters() if p.requires_grad and name in self._names]
        if self._strength == 0 or not weights:
            return None
        return self._strength * torch.stack([weight.square().sum() for weight in weights]).sum()


def _weights(model: nn.Module, layers: Sequence[str] | None) -> frozenset[str]:
    """Return the names of the weights that are not spared, in these modules alone where some are named."""
    ignored = spared(model)
    names = [name for name, _ in model.named_parameters() if name not in ignored]
    if layers is None:
        return frozenset(names)
    for layer in layers:
        if not any(name.startswith(f"{layer}.") for name in names):
            raise ComponentError(
                f"l2 finds no layer {layer!r} with weights in {type(model).__name__}",
                possible=", ".join(dict.fromkeys(name.rpartition(".")[0] for name in names if "." in name)),
                hint="regularizers.l2.layers=null   (takes all)",
            )
    return frozenset(name for name in names if name.startswith(tuple(f"{layer}." for layer in layers)))


def build_l1(params: schemas.L1) -> Regularizer:
    """Return the regularizer."""
    return L1(params.strength)


def build_l2(params: schemas.L2) -> Regularizer:
    """Return the regularizer."""
    return L2(params)
