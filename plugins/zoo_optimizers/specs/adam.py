"""Adam and its kin: averaged gradients over the root of averaged squares."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.components import OptimizerSpec, Params
from zoo_optimizers.specs.descent import Fraction, Positive, Rate

First = Annotated[Fraction, Meta(description="decay of the average of gradients")]
Second = Annotated[Fraction, Meta(description="decay of the average of squared gradients")]
Eps = Annotated[Positive, Meta(description="added to the root of the second average")]


class Adam(Params, frozen=True, kw_only=True):
    """Averages of the gradient and of its square; weight decay is part of the gradient."""

    lr: Rate = 0.001
    beta1: First = 0.9
    beta2: Second = 0.999
    eps: Eps = 1e-8


class AdamW(Params, frozen=True, kw_only=True):
    """Adam with decoupled weight decay."""

    lr: Rate = 0.001
    beta1: First = 0.9
    beta2: Second = 0.999
    eps: Eps = 1e-8


class NAdam(Params, frozen=True, kw_only=True):
    """Adam that looks ahead along its average, as Nesterov's momentum does."""

    lr: Rate = 0.002
    beta1: First = 0.9
    beta2: Second = 0.999
    eps: Eps = 1e-8


class LAMB(Params, frozen=True, kw_only=True):
    """AdamW whose step in each tensor is as long as the tensor's norm times the rate; for large batches."""

    lr: Rate = 0.005
    beta1: First = 0.9
    beta2: Second = 0.999
    eps: Eps = 1e-6


class ScheduleFreeAdamW(Params, frozen=True, kw_only=True):
    """AdamW that averages its weights instead of lowering its rate; use a constant schedule, with a warm-up."""

    lr: Rate = 0.0025
    beta1: Annotated[Fraction, Meta(description="share of the average in the weights that gradients are taken at")] = (
        0.9
    )
    beta2: Second = 0.999
    eps: Eps = 1e-8


SPECS = [
    OptimizerSpec(
        name="adam",
        factory="zoo_optimizers.torch_optimizers:build_adam",
        summary="averaged gradients over averaged squares (Kingma and Ba, ICLR 2015)",
        params=Adam,
        weight_decay="coupled",
    ),
    OptimizerSpec(
        name="adamw",
        factory="zoo_optimizers.torch_optimizers:build_adamw",
        summary="Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)",
        params=AdamW,
        weight_decay="decoupled",
    ),
    OptimizerSpec(
        name="nadam",
        factory="zoo_optimizers.torch_optimizers:build_nadam",
        summary="Adam with Nesterov's momentum (Dozat, 2016)",
        params=NAdam,
        weight_decay="coupled",
    ),
    OptimizerSpec(
        name="lamb",
        factory="zoo_optimizers.timm_optimizers:build_lamb",
        summary="AdamW with a rate for each layer, for large batches (You et al., ICLR 2020)",
        params=LAMB,
        weight_decay="decoupled",
        requires=("timm",),
    ),
    OptimizerSpec(
        name="schedule-free-adamw",
        factory="zoo_optimizers.schedule_free:build",
        summary="AdamW that averages instead of decaying its rate (Defazio et al., 2024)",
        params=ScheduleFreeAdamW,
        weight_decay="decoupled",
    ),
]
