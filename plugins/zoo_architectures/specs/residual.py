"""Residual networks."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import ArchitectureSpec, Params


class ResNet(Params, frozen=True, kw_only=True):
    """A residual network."""

    stem: Annotated[
        Literal["auto", "small", "imagenet"],
        Meta(description="small: 3×3 stride 1, no pooling; imagenet: 7×7 stride 2; auto: small below 64 px"),
    ] = "auto"


class CifarResNet(Params, frozen=True, kw_only=True):
    """A residual network for small images, without parameters in its shortcuts."""

    width: Annotated[int, Meta(ge=1, description="channels of the first stage; each stage doubles them")] = 16
    expansion: Annotated[
        float, Meta(gt=0, description="channels between the two convolutions of a block, in those of the block")
    ] = 1.0


SPECS = [
    *(
        ArchitectureSpec(
            name=f"resnet{layers}",
            factory=f"zoo_architectures.residual:resnet{layers}.build",
            pretrained=f"zoo_architectures.residual:resnet{layers}.pretrained",
            summary=f"residual network of {layers} layers with {blocks} (He et al., CVPR 2016)",
            params=ResNet,
            family="cnn",
            embeddings=True,
            min_size=8,
            preferred_size=224,
            stem=True,
        )
        for layers, blocks in ((18, "basic blocks"), (34, "basic blocks"), (50, "bottlenecks"), (101, "bottlenecks"))
    ),
    *(
        ArchitectureSpec(
            name=f"resnet{layers}",
            factory=f"zoo_architectures.cifar_resnet:resnet{layers}.build",
            summary=f"residual network of {layers} layers for small images (He et al., CVPR 2016, 4.2)",
            params=CifarResNet,
            scales=("width", "expansion"),
            family="cnn",
            embeddings=True,
            min_size=4,
            preferred_size=32,
        )
        for layers in (20, 32, 56)
    ),
]
