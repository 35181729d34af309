"""Optimizers of timm: some under names of their own, and any by its name there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import timm.optim
import torch
from torch import nn
from torch.optim import Optimizer

from zoo.bases import ParameterGroup
from zoo.components import WeightDecay
from zoo.errors import ComponentError, nearest
from zoo_optimizers.specs import adam, descent
from zoo_optimizers.specs.compound import Timm

_timm: Any = timm.optim  # its names are not marked as exported
_RANDOM = "draws random numbers of its own, which no checkpoint would hold"
_REFUSED = dict.fromkeys(("kron", "kronc", "kronw"), _RANDOM)


def build_lion(params: descent.Lion, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return Lion (Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023)."""
    betas = (params.beta1, params.beta2)
    optimizer: Optimizer = _timm.Lion(parameter_groups, lr=params.lr, betas=betas, weight_decay=0.0)
    return optimizer


def build_lamb(params: adam.LAMB, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return LAMB (You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020).

    Every tensor is scaled, as in the paper's algorithm 2, whether it decays or not; the recipe alone clips gradients.
    """
    optimizer: Optimizer = _timm.Lamb(
        parameter_groups,
        lr=params.lr,
        betas=(params.beta1, params.beta2),
        eps=params.eps,
        weight_decay=0.0,
        max_grad_norm=None,
        always_adapt=True,
    )
    return optimizer


def build(params: Timm, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return the optimizer of this name.

    Raises ComponentError for a name that timm does not have, a setting that the optimizer lacks, and an optimizer that needs
    a package that is missing, second derivatives, or random numbers of its own, which no checkpoint would hold.
    """
    _check(params)
    asked = {key: getattr(params, key) for key in ("momentum", "betas", "eps")}
    settings = {key: value for key, value in asked.items() if value is not None}
    optimizer: Optimizer = _timm.create_optimizer_v2(
        parameter_groups, opt=params.optimizer, lr=params.lr, weight_decay=0.0, **settings
    )
    return optimizer


def describe(params: Timm) -> WeightDecay:
    """Return the optimizer's form of weight decay, found out by a step: where decay reaches its averages it is coupled.

    timm says it nowhere. Without averages both forms are one, and coupled is said.
    """
    plain, decayed = _averages(params, 0.0), _averages(params, 0.5)
    same = len(plain) == len(decayed) and all(map(torch.equal, plain, decayed))
    return "decoupled" if plain and same else "coupled"


def _averages(params: Timm, weight_decay: float) -> list[torch.Tensor]:
    """Return all tensors of the state after one step of a small matrix."""
    weight = nn.Parameter(torch.linspace(-1, 2, 64).view(8, 8))
    weight.grad = torch.linspace(1, 3, 64).view(8, 8).sin()
    optimizer = build(params, [{"params": [("weight", weight)], "weight_decay": weight_decay}])
    optimizer.step()
    return [value for value in _leaves(list(optimizer.state.values())) if value.numel()]


def _leaves(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return [leaf for item in items for leaf in _leaves(item)]


def _check(params: Timm) -> None:
    name = params.optimizer
    names: list[str] = _timm.list_optimizers()
    if name not in names:
        near = nearest(name, names)
        raise ComponentError(
            f"timm has no optimizer {name!r}",
            possible=f"did you mean {' or '.join(map(repr, near))}?" if near else f"one of timm's {len(names)} names",
            hint=f"optimizer.optimizer={near[0] if near else 'nadamw'}",
        )
    facts = _timm.get_optimizer_info(name)
    _check_use(name, facts)
    has = {"momentum": facts.has_momentum, "betas": facts.has_betas, "eps": facts.has_eps}
    lacking = [key for key, there in has.items() if getattr(params, key) is not None and not there]
    if lacking:
        raise ComponentError(
            f"timm's optimizer {name!r} has no {lacking[0]}",
            possible=", ".join(["lr", *(key for key, there in has.items() if there)]),
            hint=f"optimizer.{lacking[0]}=null",
        )
    if params.betas is not None and len(params.betas) != facts.num_betas:
        raise ComponentError(
            f"timm's optimizer {name!r} takes {facts.num_betas} betas, got {len(params.betas)} instead",
            hint=f"optimizer.betas={'[0.98,0.92,0.99]' if facts.num_betas == 3 else '[0.9,0.999]'}",
        )


def _check_use(name: str, facts: Any) -> None:
    if isinstance(facts.opt_class, str):  # the path of a class in a package that timm does not require
        package = facts.opt_class.partition(".")[0]
        if find_spec(package) is None:
            raise ComponentError(f"timm's optimizer {name!r} needs the package {package!r}, which is not installed")
    reason = _REFUSED.get(name)
    if facts.second_order:
        reason = "needs second derivatives, and a step computes first ones only"
    if reason is not None:
        raise ComponentError(f"timm's optimizer {name!r} {reason}", hint="optimizer.optimizer=nadamw")
