"""AdamW without a learning-rate schedule: it averages its weights instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from zoo.bases import ParameterGroup
from zoo_optimizers.specs.adam import ScheduleFreeAdamW


class ScheduleFreeAdamWOptimizer(Optimizer):
    """Steps a fast sequence z and evaluates the average x of its points.

    At step t, with the rate γ = lr √(1 - β₂ᵗ), gradients g are taken at y = (1 - β₁) z + β₁ x; then v ← β₂ v + (1 - β₂) g²,
    z ← z - γ (g / (√v + ε) + weight_decay · y) and x ← (1 - c) x + c z, where c is γ² over the sum of all γ² so far. In
    training mode, as at the start, the parameters are y, after `eval()` they are x, and `train()` brings the same bits of y
    back. Defazio et al., "The road less scheduled", NeurIPS 2024. A warm-up belongs in the recipe's schedule. Running
    statistics of batch norms stay those measured at y.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], eps: float) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0}
        super().__init__(params, {**defaults, "training": True, "steps": 0, "squared_rates": 0.0})

    def train(self) -> None:
        """Put y in the parameters, where gradients are taken."""
        self._switch(training=True)

    def eval(self) -> None:
        """Put the average x in the parameters."""
        self._switch(training=False)

    @torch.no_grad()
    def _switch(self, *, training: bool) -> None:
        for group in self.param_groups:
            if group["training"] == training:
                continue
            group["training"] = training
            for parameter in group["params"]:
                state = self.state.get(parameter)
                if state:
                    parameter.copy_(_between(state, group["betas"][0]) if training else state["average"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; returns what `closure` returns.

        Raises RuntimeError in evaluation mode.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if not group["training"]:
                raise RuntimeError("call train() before step(): the parameters are averages now")
            self._update(group)
        return loss

    def _update(self, group: ParameterGroup) -> None:
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            return
        beta1, beta2 = group["betas"]
        group["steps"] += 1
        rate = group["lr"] * math.sqrt(1 - beta2 ** group["steps"])
        group["squared_rates"] += rate**2
        share = rate**2 / group["squared_rates"] if rate else 0.0
        states = [self._state(p) for p in weights]
        squares = [state["squares"] for state in states]
        steps = _directions(weights, squares, beta2, group["eps"])
        if group["weight_decay"] != 0:
            torch._foreach_add_(steps, weights, alpha=group["weight_decay"])
        fast = [state["fast"] for state in states]
        torch._foreach_add_(fast, steps, alpha=-rate)
        torch._foreach_lerp_([state["average"] for state in states], fast, share)
        torch._foreach_copy_(weights, [_between(state, beta1) for state in states])

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["fast"] = parameter.detach().clone(memory_format=torch.preserve_format)
            state["average"] = parameter.detach().clone(memory_format=torch.preserve_format)
            state["squares"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state


def _directions(weights: list[Tensor], squares: list[Tensor], beta2: float, eps: float) -> list[Tensor]:
    """Return the gradients over the roots of their averaged squares, which are brought up to date."""
    gradients: list[Tensor] = [p.grad for p in weights if p.grad is not None]
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, eps)
    return list(torch._foreach_div(gradients, roots))


def _between(state: dict[str, Tensor], beta1: float) -> Tensor:
    """Return y; a function of x and z alone, so that leaving training mode and coming back changes no bit."""
    return torch.lerp(state["fast"], state["average"], beta1)


def build(params: ScheduleFreeAdamW, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return the optimizer over groups of `(name, parameter)` pairs."""
    return ScheduleFreeAdamWOptimizer(parameter_groups, params.lr, (params.beta1, params.beta2), params.eps)
