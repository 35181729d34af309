"""Optimizers made of others: by kind of parameter, around a base, or by their name in timm."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from zoo.components import Component, OptimizerSpec, Params
from zoo_optimizers.specs.descent import Fraction, Positive, Rate


class Muon(Params, frozen=True, kw_only=True):
    """Orthogonalised momentum for hidden matrices and kernels, AdamW for all other parameters; one rate serves both."""

    lr: Rate = 0.002
    momentum: Annotated[Fraction, Meta(description="decay of the average of gradients, for matrices")] = 0.95
    nesterov: Annotated[bool, Meta(description="look ahead along the average, for matrices")] = True
    iterations: Annotated[int, Meta(ge=1, le=20, description="Newton-Schulz iterations that orthogonalise a step")] = 5
    beta1: Annotated[Fraction, Meta(description="decay of AdamW's average of gradients")] = 0.9
    beta2: Annotated[Fraction, Meta(description="decay of AdamW's average of squared gradients")] = 0.95


def _sgd() -> Any:
    """Return a name, which is resolved like those of a recipe."""
    return "sgd"


class SAM(Params, frozen=True, kw_only=True):
    """Steps of a base optimizer along the gradient at the worst weights near by; each step costs two."""

    base: Annotated[Component[Literal["optimizer"]], Meta(description="optimizer that makes the steps")] = field(
        default_factory=_sgd
    )
    rho: Annotated[float, Meta(ge=0, description="how far the worst weights may be; adaptive: try 0.5 to 2")] = 0.05
    adaptive: Annotated[bool, Meta(description="measure distance in units of each weight (Kwon et al., ICML 2021)")] = (
        False
    )


class Timm(Params, frozen=True, kw_only=True):
    """Any optimizer of timm; what is left out is as timm has it."""

    optimizer: Annotated[str, Meta(min_length=1, description="name in timm, such as adopt or nadamw")] = "nadamw"
    lr: Rate = 0.001
    momentum: Annotated[Fraction | None, Meta(description="for optimizers that have one")] = None
    betas: Annotated[
        list[Fraction] | None, Meta(description="decays of the averages, for optimizers that have them")
    ] = None
    eps: Annotated[Positive | None, Meta(description="for optimizers that have one")] = None


SPECS = [
    OptimizerSpec(
        name="muon",
        factory="zoo_optimizers.muon:build",
        summary="orthogonalised momentum for hidden layers (Jordan et al., 2024)",
        params=Muon,
        weight_decay="decoupled",
        requires=("timm",),
    ),
    OptimizerSpec(
        name="sam",
        factory="zoo_optimizers.sam:build",
        summary="sharpness-aware minimization around a base (Foret et al., ICLR 2021)",
        params=SAM,
        weight_decay=None,
        describe="zoo_optimizers.sam:describe",
        passes=2,
    ),
    OptimizerSpec(
        name="timm",
        factory="zoo_optimizers.timm_optimizers:build",
        summary="any optimizer of the timm library, by its name there",
        params=Timm,
        weight_decay=None,
        describe="zoo_optimizers.timm_optimizers:describe",
        requires=("timm",),
    ),
]
