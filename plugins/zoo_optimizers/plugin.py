"""What this plugin announces; the factories, and torch with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from zoo.components import OptimizerSpec, Params
from zoo.hookspecs import hookimpl

Fraction = Annotated[float, Meta(ge=0, lt=1)]


class Momentum(Params, frozen=True, kw_only=True):
    """Gradient descent along an exponential average of the gradients."""

    lr: Annotated[float, Meta(gt=0, description="learning rate")] = 0.1
    momentum: Annotated[Fraction, Meta(description="share of the old average that each step keeps")] = 0.9


class SGD(Params, frozen=True, kw_only=True):
    """Gradient descent with heavy-ball momentum."""

    lr: Annotated[float, Meta(gt=0, description="learning rate")] = 0.1
    momentum: Annotated[Fraction, Meta(description="share of the velocity that each step keeps")] = 0.9
    nesterov: Annotated[bool, Meta(description="look ahead along the velocity; needs momentum above 0")] = False


class AdamW(Params, frozen=True, kw_only=True):
    """Adam with decoupled weight decay."""

    lr: Annotated[float, Meta(gt=0, description="learning rate")] = 0.001
    beta1: Annotated[Fraction, Meta(description="decay of the average of gradients")] = 0.9
    beta2: Annotated[Fraction, Meta(description="decay of the average of squared gradients")] = 0.999
    eps: Annotated[float, Meta(gt=0, description="added to the root of the second average")] = 1e-8


@hookimpl
def zoo_optimizers() -> Iterable[OptimizerSpec]:
    return [
        OptimizerSpec(
            name="momentum",
            factory="zoo_optimizers.momentum:build",
            summary="steps along the exponential average of the gradients",
            params=Momentum,
            weight_decay="coupled",
        ),
        OptimizerSpec(
            name="sgd",
            factory="zoo_optimizers.torch_optimizers:build_sgd",
            summary="stochastic gradient descent with heavy-ball or Nesterov momentum",
            params=SGD,
            weight_decay="coupled",
        ),
        OptimizerSpec(
            name="adamw",
            factory="zoo_optimizers.torch_optimizers:build_adamw",
            summary="Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)",
            params=AdamW,
            weight_decay="decoupled",
        ),
    ]
