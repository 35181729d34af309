"""What this plugin announces; the factories, and torch and timm with them, are imported at first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import ArchitectureSpec, Params
from zoo.hookspecs import hookimpl


class ConvNet(Params, frozen=True, kw_only=True):
    """One convolution and one hidden dense layer."""

    filters: Annotated[int, Meta(ge=1, description="output channels of the convolution")] = 32
    hidden: Annotated[int, Meta(ge=1, description="units of the hidden dense layer")] = 1024


class ResNet(Params, frozen=True, kw_only=True):
    """A residual network."""

    stem: Annotated[
        Literal["auto", "small", "imagenet"],
        Meta(description="small: 3×3 stride 1, no pooling; imagenet: 7×7 stride 2; auto: small below 64 px"),
    ] = "auto"


class RowLSTM(Params, frozen=True, kw_only=True):
    """An LSTM that reads an image row by row."""

    hidden: Annotated[int, Meta(ge=1, description="units of each layer's state")] = 128
    layers: Annotated[int, Meta(ge=1, description="number of stacked LSTM layers")] = 1
    forget_bias: Annotated[float, Meta(description="initial bias of the forget gate")] = 1.0


class Timm(Params, frozen=True, kw_only=True):
    """Any image model of timm, initialised at random."""

    model: Annotated[str, Meta(min_length=1, description="name in timm, such as vit_tiny_patch16_224")] = "resnet18"


@hookimpl
def zoo_architectures() -> Iterable[ArchitectureSpec]:
    return [
        ArchitectureSpec(
            name="conv-net",
            factory="zoo_architectures.convolutional:build",
            summary="convolution, max pooling, two dense layers; the small baseline",
            params=ConvNet,
            family="cnn",
            embeddings=True,
            min_size=2,
            preferred_size=28,
        ),
        ArchitectureSpec(
            name="resnet18",
            factory="zoo_architectures.residual:build_resnet18",
            summary="residual network of 18 layers with basic blocks (He et al., CVPR 2016)",
            params=ResNet,
            family="cnn",
            embeddings=True,
            min_size=8,
            preferred_size=224,
            stem=True,
        ),
        ArchitectureSpec(
            name="resnet50",
            factory="zoo_architectures.residual:build_resnet50",
            summary="residual network of 50 layers with bottlenecks (He et al., CVPR 2016)",
            params=ResNet,
            family="cnn",
            embeddings=True,
            min_size=8,
            preferred_size=224,
            stem=True,
        ),
        ArchitectureSpec(
            name="row-lstm",
            factory="zoo_architectures.recurrent:build",
            summary="stacked LSTMs that read an image as a sequence of its rows",
            params=RowLSTM,
            family="rnn",
            embeddings=True,
            preferred_size=28,
        ),
        ArchitectureSpec(
            name="timm",
            factory="zoo_architectures.timm_models:build",
            summary="any image model of the timm library, by its name there",
            params=Timm,
            family=None,
            embeddings=None,
            min_size=None,
            describe="zoo_architectures.timm_models:describe",
            requires=("timm",),
        ),
    ]
