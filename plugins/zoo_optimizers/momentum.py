"""Gradient descent along an exponential average of the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from zoo.bases import ParameterGroup
from zoo_optimizers.specs.descent import Momentum


class MomentumOptimizer(Optimizer):
    """Steps `v ← γ v + (1 - γ) g; w ← w - lr v` from v = 0, where g is the gradient plus `weight_decay` times w.

    At a constant rate it equals heavy-ball momentum (Polyak, 1964) at the learning rate lr (1 - γ). torch's SGD with
    dampening γ is another rule: it starts at v = g.
    """

    def __init__(self, params: Any, lr: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: ParameterGroup) -> None:
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            return
        gradients: list[Tensor] = [p.grad for p in weights]
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        velocities = [self._velocity(p) for p in weights]
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, gradients, alpha=1 - group["momentum"])
        torch._foreach_add_(weights, velocities, alpha=-group["lr"])

    def _velocity(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        velocity: Tensor = state["velocity"]
        return velocity


def build(params: Momentum, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return the optimizer over groups of `(name, parameter)` pairs."""
    return MomentumOptimizer(parameter_groups, params.lr, params.momentum)
