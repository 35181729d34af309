"""What this plugin announces; the factories, and torch with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import Params, RegularizerSpec
from zoo.hookspecs import hookimpl


class WeightDecay(Params, frozen=True, kw_only=True):
    """Shrinks weights, but neither biases nor normalisation, towards zero at each step."""

    strength: Annotated[float, Meta(ge=0, description="coefficient of the decay")] = 5e-4
    form: Annotated[
        Literal["auto", "l2", "decoupled"],
        Meta(description="l2: part of the gradient; decoupled: apart from it; auto: the optimizer's form"),
    ] = "auto"


class Dropout(Params, frozen=True, kw_only=True):
    """Zeroes activations at random in training."""

    rate: Annotated[float, Meta(ge=0, lt=1, description="probability that an activation is zeroed")] = 0.5
    where: Annotated[
        Literal["head", "recurrent", "all"],
        Meta(description="head: before the classifier; recurrent: after recurrent layers; all: wherever it can act"),
    ] = "head"


class LabelSmoothing(Params, frozen=True, kw_only=True):
    """Mixes the target distribution with the uniform one."""

    strength: Annotated[float, Meta(ge=0, lt=1, description="share of the uniform distribution")] = 0.1


class Ema(Params, frozen=True, kw_only=True):
    """Evaluates and keeps an exponential moving average of the weights."""

    decay: Annotated[
        float, Meta(ge=0, lt=1, description="share of the old average at each step; lower at the start of training")
    ] = 0.999


class Swa(Params, frozen=True, kw_only=True):
    """Evaluates and keeps the mean of the weights of the last epochs."""

    share: Annotated[float, Meta(ge=0, le=1, description="last part of training whose epochs are averaged")] = 0.25


@hookimpl
def zoo_regularizers() -> Iterable[RegularizerSpec]:
    return [
        RegularizerSpec(
            name="weight-decay",
            factory="zoo_regularizers.weight_decay:build",
            summary="L2 or decoupled decay of weights; biases and norms are spared",
            params=WeightDecay,
            strength="strength",
        ),
        RegularizerSpec(
            name="dropout",
            factory="zoo_regularizers.dropout:build",
            summary="zeroes activations at random (Srivastava et al., JMLR 2014)",
            params=Dropout,
            strength="rate",
        ),
        RegularizerSpec(
            name="label-smoothing",
            factory="zoo_regularizers.label_smoothing:build",
            summary="softens the targets of the loss (Szegedy et al., CVPR 2016)",
            params=LabelSmoothing,
            strength="strength",
            replaces_loss=True,
        ),
        RegularizerSpec(
            name="ema",
            factory="zoo_regularizers.averaging:build_ema",
            summary="keeps a moving average of the weights (Polyak and Juditsky, 1992)",
            params=Ema,
            strength="decay",
            conflicts=("swa",),
        ),
        RegularizerSpec(
            name="swa",
            factory="zoo_regularizers.averaging:build_swa",
            summary="keeps the mean of the last epochs' weights (Izmailov et al., UAI 2018)",
            params=Swa,
            strength="share",
            conflicts=("ema",),
        ),
    ]
