"""Steps along the gradient, its average, its sign, or the gradient over its size."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.components import OptimizerSpec, Params

Rate = Annotated[float, Meta(gt=0, description="learning rate")]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]


class Momentum(Params, frozen=True, kw_only=True):
    """Gradient descent along an exponential average of the gradients."""

    lr: Rate = 0.1
    momentum: Annotated[Fraction, Meta(description="share of the old average that each step keeps")] = 0.9


class SGD(Params, frozen=True, kw_only=True):
    """Gradient descent with heavy-ball momentum."""

    lr: Rate = 0.1
    momentum: Annotated[Fraction, Meta(description="share of the velocity that each step keeps")] = 0.9
    nesterov: Annotated[bool, Meta(description="look ahead along the velocity; needs momentum above 0")] = False


class RMSprop(Params, frozen=True, kw_only=True):
    """Gradients over the root of an average of their squares."""

    lr: Rate = 0.001
    alpha: Annotated[Fraction, Meta(description="decay of the average of squared gradients")] = 0.99
    eps: Annotated[Positive, Meta(description="added to the root of the average")] = 1e-8
    momentum: Annotated[Fraction, Meta(description="share of the velocity that each step keeps")] = 0.0
    centered: Annotated[bool, Meta(description="divide by the deviation from the mean gradient instead")] = False


class Lion(Params, frozen=True, kw_only=True):
    """The sign of an average of the gradients; wants a rate three to ten times smaller, and a decay larger, than AdamW's."""

    lr: Rate = 3e-4
    beta1: Annotated[Fraction, Meta(description="share of the average in the direction of a step")] = 0.9
    beta2: Annotated[Fraction, Meta(description="decay of the average of gradients")] = 0.99


SPECS = [
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
        name="rmsprop",
        factory="zoo_optimizers.torch_optimizers:build_rmsprop",
        summary="gradients over their root mean square (Tieleman and Hinton, 2012)",
        params=RMSprop,
        weight_decay="coupled",
    ),
    OptimizerSpec(
        name="lion",
        factory="zoo_optimizers.timm_optimizers:build_lion",
        summary="the sign of averaged gradients (Chen et al., NeurIPS 2023)",
        params=Lion,
        weight_decay="decoupled",
        requires=("timm",),
    ),
]
