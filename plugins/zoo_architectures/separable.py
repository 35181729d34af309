"""Depthwise separable convolutions for small images."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from zoo_architectures.base import EmbeddingClassifier
from zoo_architectures.specs.convolutional import SeparableSmall as Params

_STAGES = 3


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return a convolution 3×3 of each map by itself and one 1×1 over all maps, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class SeparableSmall(EmbeddingClassifier):
    """A convolution 3×3, three stages of separable blocks, global average pooling, and a dense layer.

    The blocks are those of Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications"
    (2017); the stem keeps the size of the image, and the second and third stage halve it.
    """

    depths = ("stem", "blocks")

    def __init__(self, params: Params, num_outputs: int, in_channels: int) -> None:
        super().__init__()
        width = params.width
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks, inputs = [], width
        for stage in range(_STAGES):
            for index in range(params.blocks):
                outputs = width * 2 ** (stage + 1)
                blocks.append(_separable(inputs, outputs, stride=2 if stage > 0 and index == 0 else 1))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(inputs, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, 8 width, H / 4, W / 4)`."""
        maps = self.stem(x)
        for block in self.blocks:
            maps = block(maps)
        return cast(Tensor, maps)

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean of each map `(B, 8 width)`."""
        return torch.flatten(self.pool(features), 1)


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network; it takes images of any size."""
    return SeparableSmall(params, num_outputs, in_channels)
