"""Sharpness-aware minimization around a base optimizer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from zoo.bases import ParameterGroup
from zoo.components import OptimizerSpec, WeightDecay
from zoo.errors import ComponentError
from zoo_optimizers.specs.compound import SAM

_SMALLEST_SCALE = 0.01  # Kwon et al. add it to |w|, so that a weight of 0 can move as well


class SAMOptimizer(Optimizer):
    """Steps the base optimizer along the gradient g at w + ρ g / ‖g‖, the norm over all parameters.

    Foret et al., "Sharpness-aware minimization for efficiently improving generalization", ICLR 2021. With `adaptive` the
    point is w + ρ T² g / ‖T g‖, T = |w| + 0.01 in each weight: Kwon et al., "ASAM: adaptive sharpness-aware minimization for
    scale-invariant learning of deep neural networks", ICML 2021. Parameter groups and state are the base's own.
    """

    def __init__(self, base: Optimizer, rho: float, adaptive: bool) -> None:
        super().__init__(base.param_groups, base.defaults)
        self.base, self.state = base, base.state
        self._rho, self._adaptive = rho, adaptive

    @torch.no_grad()
    def step(self, gradients: Callable[[], None]) -> None:  # type: ignore[override]
        """Call `gradients` at the weights and again at the worst ones near by, put the weights back, and step the base."""
        with torch.enable_grad():
            gradients()
        weights = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        before = [p.clone() for p in weights]
        torch._foreach_add_(weights, self._ascent(weights))
        with torch.enable_grad():
            gradients()
        torch._foreach_copy_(weights, before)
        self.base.step()

    def _ascent(self, weights: list[Tensor]) -> list[Tensor]:
        directions: list[Tensor] = [p.grad for p in weights if p.grad is not None]
        if not self._adaptive:
            return _scaled(directions, directions, self._rho)
        scales = torch._foreach_abs(weights)
        torch._foreach_add_(scales, _SMALLEST_SCALE)
        scaled = torch._foreach_mul(directions, scales)
        return _scaled(list(torch._foreach_mul(scaled, scales)), list(scaled), self._rho)

    def train(self) -> None:
        """Put the base in training mode, where it has one."""
        self._switch("train")

    def eval(self) -> None:
        """Put the base in evaluation mode, where it has one."""
        self._switch("eval")

    def _switch(self, mode: str) -> None:
        switch: Callable[[], None] | None = getattr(self.base, mode, None)
        if switch is not None:
            switch()


def _scaled(directions: list[Tensor], measured: list[Tensor], length: float) -> list[Tensor]:
    """Return the directions times `length` over the norm of `measured`; nought where that is nought."""
    factor = length / get_total_norm(measured).clamp_min(1e-12)
    return list(torch._foreach_mul(directions, [factor.to(d.device) for d in directions]))


def describe(params: SAM) -> WeightDecay:
    """Return the form of the base's weight decay."""
    return _spec(params).decay_form(params.base.params)


def build(params: SAM, parameter_groups: list[ParameterGroup]) -> Optimizer:
    """Return the optimizer around its base; raises ComponentError for a base that itself takes two passes."""
    if _spec(params).passes == 2:
        raise ComponentError(
            f"sam cannot have {params.base.name} as its base, which takes two passes itself",
            possible="an optimizer of one pass per step: sgd, momentum, adamw, …",
            hint="optimizer.base=sgd",
        )
    return SAMOptimizer(params.base.build(parameter_groups), params.rho, params.adaptive)


def _spec(params: SAM) -> OptimizerSpec:
    spec = params.base.spec
    assert isinstance(spec, OptimizerSpec)
    return spec
