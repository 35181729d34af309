"""Residual networks for small images (He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_architectures.base import EmbeddingClassifier
from zoo_architectures.specs.residual import CifarResNet

Size = tuple[int, int]


class Block(nn.Module):
    """Two convolutions 3×3 with batch norm, around which the input is added.

    Where maps are halved, the shortcut takes every second pixel, and new channels are 0: the paper's option A, without parameters.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.new_channels:
            before = self.new_channels // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.new_channels - before))
        return cast(Tensor, self.relu(residual + shortcut))


class CifarClassifier(EmbeddingClassifier):
    """A convolution, three stages of blocks, global average pooling, and a dense layer."""

    depths = ("stem", "blocks")

    def __init__(self, width: int, blocks: int, num_outputs: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        widths = [width] + [width * 2**stage for stage in range(3) for _ in range(blocks)]
        self.blocks = nn.ModuleList(Block(a, b, stride=1 if a == b else 2) for a, b in pairwise(widths))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(widths[-1], num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, 4 width, H / 4, W / 4)`."""
        maps = self.stem(x)
        for block in self.blocks:
            maps = block(maps)
        return cast(Tensor, maps)

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean of each map `(B, 4 width)`."""
        return torch.flatten(self.pool(features), 1)


def build_resnet20(params: CifarResNet, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network of three blocks a stage."""
    return CifarClassifier(params.width, 3, num_outputs, in_channels)


def build_resnet32(params: CifarResNet, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network of five blocks a stage."""
    return CifarClassifier(params.width, 5, num_outputs, in_channels)


def build_resnet56(params: CifarResNet, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network of nine blocks a stage."""
    return CifarClassifier(params.width, 9, num_outputs, in_channels)
