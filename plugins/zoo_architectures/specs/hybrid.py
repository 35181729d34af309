"""Networks that mix convolution with recurrence, and networks made of networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from zoo.components import ArchitectureSpec, Component, Params
from zoo_architectures.specs.recurrent import Cell, KeepBias, Layers


class CRNN(Params, frozen=True, kw_only=True):
    """Convolutions, then recurrent layers over the columns of their maps."""

    filters: Annotated[
        int, Meta(ge=1, description="channels of the first of two convolutions; the second doubles them")
    ] = 32
    hidden: Annotated[int, Meta(ge=1, description="units of each layer's state, per direction")] = 96
    layers: Layers = 1
    cell: Cell = "lstm"
    forget_bias: KeepBias = 1.0


class RCNN(Params, frozen=True, kw_only=True):
    """Convolutional layers that feed back into themselves."""

    filters: Annotated[int, Meta(ge=1, description="channels of the layers before the second halving")] = 32
    growth: Annotated[float, Meta(gt=0, description="channels of the layers after it, in filters; rounded")] = 1.0
    layers: Annotated[
        int, Meta(ge=1, le=8, description="recurrent convolutional layers; maps are halved after the second")
    ] = 4
    steps: Annotated[int, Meta(ge=0, description="times that each layer hears of itself")] = 3


class MixerSwap(Params, frozen=True, kw_only=True):
    """Equal blocks around a spatial mixer that can be exchanged."""

    mixer: Annotated[
        Literal["bilstm2d", "bigru2d", "depthwise-conv", "conv3", "pool", "identity"],
        Meta(description="how positions of an image hear of each other"),
    ] = "bilstm2d"
    width: Annotated[int, Meta(ge=4, description="channels of every block")] = 48
    depth: Annotated[int, Meta(ge=1, description="number of blocks")] = 4
    patch: Annotated[int, Meta(ge=1, description="pixels a side of the patches that the image is cut into")] = 2
    expansion: Annotated[float, Meta(gt=0, description="width of the channel mixer's hidden layer, in widths")] = 3.0
    hidden: Annotated[int, Meta(ge=1, description="units of a recurrent mixer's state, per direction")] = 12
    kernel: Annotated[int, Meta(ge=1, description="side of the depthwise convolution; odd")] = 7
    forget_bias: KeepBias = 1.0

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel} instead")


def _members() -> Any:
    """Return names, which are resolved like those of a recipe."""
    return ["conv-net", "row-lstm"]


class Ensemble(Params, frozen=True, kw_only=True):
    """Several networks whose answers are averaged."""

    members: Annotated[list[Component[Literal["architecture"]]], Meta(description="two networks or more")] = field(
        default_factory=_members
    )
    combine: Annotated[
        Literal["probabilities", "logits"],
        Meta(description="probabilities: log of the mean softmax; logits: mean of the logits"),
    ] = "probabilities"

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(f"members must be at least 2 networks, got {len(self.members)} instead")


SPECS = [
    ArchitectureSpec(
        name="crnn",
        factory="zoo_architectures.crnn:build",
        summary="convolutions, then LSTMs over the columns (Shi, Bai and Yao, TPAMI 2017)",
        params=CRNN,
        scales=("filters", "hidden"),
        family="hybrid",
        embeddings=True,
        min_size=4,
        preferred_size=32,
    ),
    ArchitectureSpec(
        name="rcnn",
        factory="zoo_architectures.rcnn:build",
        summary="recurrent convolutional layers (Liang and Hu, CVPR 2015)",
        params=RCNN,
        scales=("filters", "growth"),
        family="hybrid",
        embeddings=True,
        min_size=4,
        preferred_size=32,
    ),
    ArchitectureSpec(
        name="mixer-swap",
        factory="zoo_architectures.mixer_swap:build",
        summary="equal blocks around a recurrent, convolutional or other spatial mixer",
        params=MixerSwap,
        scales=("width", "expansion", "hidden"),
        family=None,
        embeddings=None,
        min_size=None,
        preferred_size=32,
        describe="zoo_architectures.mixer_swap:describe",
    ),
    ArchitectureSpec(
        name="ensemble",
        factory="zoo_architectures.ensemble:build",
        summary="networks whose probabilities or logits are averaged",
        params=Ensemble,
        family=None,
        embeddings=None,
        min_size=None,
        describe="zoo_architectures.ensemble:describe",
    ),
    ArchitectureSpec(
        name="joint-ensemble",
        factory="zoo_architectures.ensemble:build",
        summary="networks trained together through their averaged output",
        params=Ensemble,
        family=None,
        embeddings=None,
        min_size=None,
        describe="zoo_architectures.ensemble:describe",
    ),
]
