"""Convolutional networks without shortcuts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import ArchitectureSpec, Params
from zoo.facts import ArchitectureFacts

Width = Annotated[float, Meta(gt=0, description="width multiplier of all hidden layers, which are rounded")]

Channels = Annotated[int, Meta(ge=1)]
Hidden = Annotated[int, Meta(ge=1, description="units of the hidden dense layer, at width 1")]


class ConvNet(Params, frozen=True, kw_only=True):
    """One convolution and one hidden dense layer."""

    filters: Annotated[int, Meta(ge=1, description="output channels of the convolution")] = 32
    hidden: Annotated[int, Meta(ge=1, description="units of the hidden dense layer")] = 1024


class LeNet5(Params, frozen=True, kw_only=True):
    """Two convolutions and three dense layers."""

    activation: Annotated[Literal["relu", "tanh"], Meta(description="the paper scales a tanh")] = "relu"
    pooling: Annotated[Literal["max", "average"], Meta(description="how maps are halved")] = "max"
    width: Width = 1.0


class KerasCNN(Params, frozen=True, kw_only=True):
    """Two convolutions, pooling and one dense layer."""

    kernel: Annotated[int, Meta(ge=1, le=14, description="pixels per side of both kernels")] = 3
    filters: Annotated[
        tuple[Channels, Channels], Meta(description="output channels of each convolution, at width 1")
    ] = (32, 64)
    hidden: Hidden = 128
    width: Width = 1.0
    init: Annotated[
        Literal["torch", "glorot"],
        Meta(description="how weights begin; glorot: uniform within Glorot's bounds and biases 0, as in Keras"),
    ] = "torch"


class BatchBALDCNN(Params, frozen=True, kw_only=True):
    """Two convolutions, each with dropout of maps and pooling, and one dense layer."""

    hidden: Hidden = 128
    width: Width = 1.0


class VGG(Params, frozen=True, kw_only=True):
    """A plain stack of 3×3 convolutions."""

    classifier: Annotated[
        Literal["auto", "small", "imagenet"],
        Meta(description="small: the pooled maps; imagenet: two dense layers of 4096; auto: small below 64 px"),
    ] = "auto"


class SignalCNN(Params, frozen=True, kw_only=True):
    """Three convolutions along one axis and one dense layer."""

    filters: Annotated[int, Meta(ge=1, description="output channels of each convolution")] = 25


class SeparableSmall(Params, frozen=True, kw_only=True):
    """Depthwise separable convolutions for small images."""

    width: Annotated[
        float, Meta(ge=4, description="channels of the stem; each stage doubles them, and they are rounded")
    ] = 32
    blocks: Annotated[int, Meta(ge=1, description="separable blocks of each of the three stages")] = 2


def keras_cnn_facts(params: KerasCNN) -> ArchitectureFacts:
    """Return the facts of a network whose convolutions and pooling need an image of twice the kernel."""
    return ArchitectureFacts(family="cnn", embeddings=True, min_size=2 * params.kernel, preferred_size=28)


SPECS = [
    ArchitectureSpec(
        name="conv-net",
        factory="zoo_architectures.convolutional:build",
        summary="convolution, max pooling, two dense layers; the small baseline",
        params=ConvNet,
        scales=("filters", "hidden"),
        family="cnn",
        embeddings=True,
        min_size=2,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="lenet5",
        factory="zoo_architectures.convolutional:build_lenet5",
        summary="two convolutions, three dense layers (LeCun et al., Proc. IEEE 1998)",
        params=LeNet5,
        scales=("width",),
        family="cnn",
        embeddings=True,
        min_size=12,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="keras-cnn",
        factory="zoo_architectures.convolutional:build_keras_cnn",
        summary="two convolutions of 32 and 64 filters, dense 128: the classic Keras example",
        params=KerasCNN,
        scales=("width", "hidden"),
        family="cnn",
        embeddings=True,
        min_size=None,
        preferred_size=28,
        describe="zoo_architectures.specs.convolutional:keras_cnn_facts",
    ),
    ArchitectureSpec(
        name="batchbald-cnn",
        factory="zoo_architectures.batchbald:build",
        summary="two convolutions 5×5 with dropout of maps (Kirsch et al., NeurIPS 2019)",
        params=BatchBALDCNN,
        scales=("width", "hidden"),
        family="cnn",
        embeddings=True,
        min_size=16,
        preferred_size=28,
    ),
    *(
        ArchitectureSpec(
            name=name,
            factory=f"zoo_architectures.vgg:{name.replace('-', '_')}.build",
            pretrained=f"zoo_architectures.vgg:{name.replace('-', '_')}.pretrained",
            summary=f"13 convolutions of 3×3{normed} (Simonyan and Zisserman, ICLR 2015)",
            params=VGG,
            family="cnn",
            embeddings=True,
            min_size=32,
            preferred_size=224,
        )
        for name, normed in (("vgg16", ""), ("vgg16-bn", ", batch norm"))
    ),
    ArchitectureSpec(
        name="separable-small",
        factory="zoo_architectures.separable:build",
        summary="depthwise separable convolutions for small images",
        params=SeparableSmall,
        scales=("width",),
        family="cnn",
        embeddings=True,
        min_size=4,
        preferred_size=32,
    ),
    ArchitectureSpec(
        name="signal-cnn",
        factory="zoo_architectures.signal_cnn:build",
        summary="convolutions along one axis, for signals (Greydanus and Kobak, ICML 2024)",
        params=SignalCNN,
        scales=("filters",),
        family="cnn",
        embeddings=True,
        preferred_size=28,
    ),
]
