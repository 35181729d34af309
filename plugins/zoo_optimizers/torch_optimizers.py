"""Optimizers of torch, built without weight decay; each group's own `weight_decay` holds."""

from __future__ import annotations

from torch import optim
from torch.optim import Optimizer

from zoo.bases import ParameterGroup
from zoo.errors import ComponentError
from zoo_optimizers.specs import adam, descent


def build_sgd(params: descent.SGD, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return stochastic gradient descent; raises ComponentError for Nesterov without momentum."""
    if params.nesterov and params.momentum == 0:
        raise ComponentError(
            "sgd cannot look ahead (nesterov) along a velocity of momentum 0",
            possible="momentum above 0, or nesterov=false",
            hint="optimizer.momentum=0.9",
        )
    return optim.SGD(
        parameter_groups, lr=params.lr, momentum=params.momentum, nesterov=params.nesterov, weight_decay=0.0
    )


def build_rmsprop(params: descent.RMSprop, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return RMSprop (Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012).

    `centered` and `momentum` follow Graves, "Generating sequences with recurrent neural networks" (2013).
    """
    return optim.RMSprop(
        parameter_groups,
        lr=params.lr,
        alpha=params.alpha,
        eps=params.eps,
        momentum=params.momentum,
        centered=params.centered,
        weight_decay=0.0,
    )


def build_adam(params: adam.Adam, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return Adam (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015)."""
    betas = (params.beta1, params.beta2)
    return optim.Adam(parameter_groups, lr=params.lr, betas=betas, eps=params.eps, weight_decay=0.0)


def build_adamw(params: adam.AdamW, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019)."""
    betas = (params.beta1, params.beta2)
    return optim.AdamW(parameter_groups, lr=params.lr, betas=betas, eps=params.eps, weight_decay=0.0)


def build_nadam(params: adam.NAdam, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return NAdam (Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016), its momentum warmed up."""
    betas = (params.beta1, params.beta2)
    return optim.NAdam(parameter_groups, lr=params.lr, betas=betas, eps=params.eps, weight_decay=0.0)
