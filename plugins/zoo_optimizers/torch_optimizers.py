"""Optimizers of torch, built without weight decay; each group's own `weight_decay` holds."""

from __future__ import annotations

from torch.optim import SGD, AdamW, Optimizer

from zoo.bases import ParameterGroup
from zoo.errors import ComponentError
from zoo_optimizers import plugin


def build_sgd(params: plugin.SGD, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return stochastic gradient descent; raises ComponentError for Nesterov without momentum."""
    if params.nesterov and params.momentum == 0:
        raise ComponentError(
            "sgd cannot look ahead (nesterov) along a velocity of momentum 0",
            possible="momentum above 0, or nesterov=false",
            hint="optimizer.momentum=0.9",
        )
    return SGD(parameter_groups, lr=params.lr, momentum=params.momentum, nesterov=params.nesterov, weight_decay=0.0)


def build_adamw(params: plugin.AdamW, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019)."""
    betas = (params.beta1, params.beta2)
    return AdamW(parameter_groups, lr=params.lr, betas=betas, eps=params.eps, weight_decay=0.0)
