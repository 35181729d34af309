"""ReNet (Visin et al., "ReNet: a recurrent neural network based alternative to convolutional networks", 2015)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.modules import Dropout
from zoo_architectures import cells
from zoo_architectures.base import AdaptivePool, EmbeddingClassifier, widened
from zoo_architectures.specs.recurrent import ReNet as Params

Size = tuple[int, int]
_PATCH = 2
_LARGEST_MAP = 7  # a side of the maps that the dense layers read: what 28 px give after two layers

# Units of each direction, and dense layers; the paper's are those of its MNIST network.
SIZES: dict[str, tuple[int, tuple[int, ...]]] = {"xs": (16, (64,)), "s": (32, (256,)), "paper": (256, (4096, 4096))}


class Sweeps(nn.Module):
    """Four sweeps over patches of 2×2 pixels: down and up each column, then left and right along the rows of the result.

    Maps `(B, C, H, W)` to `(B, 2 hidden, ⌈H/2⌉, ⌈W/2⌉)`; a last odd row or column is filled up with zeros.
    """

    def __init__(self, channels: int, hidden: int, params: Params) -> None:
        super().__init__()
        self.vertical, self.horizontal = (
            cells.gated(params.cell, size, hidden, bidirectional=True, forget_bias=params.forget_bias)
            for size in (channels * _PATCH**2, 2 * hidden)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, x.shape[3] % _PATCH, 0, x.shape[2] % _PATCH))
        patches = F.pixel_unshuffle(x, _PATCH)  # (B, 4 C, h, w)
        batch, _, height, width = patches.shape
        columns = self.vertical(patches.permute(0, 3, 2, 1).flatten(0, 1)).unflatten(0, (batch, width))
        rows = self.horizontal(columns.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, height))
        return cast(Tensor, rows.permute(0, 3, 1, 2))


class ReNet(EmbeddingClassifier):
    """Layers of sweeps, and rectified dense layers on all that the last one gives.

    Maps above 7×7 are pooled to that before the dense layers.
    """

    depths = ("sweeps", "dense")

    def __init__(self, params: Params, num_outputs: int, in_channels: int, image_size: Size) -> None:
        super().__init__()
        units, dense_units = SIZES[params.size]
        (hidden,), dense = widened((units,), params.width), widened(dense_units, params.width * params.dense)
        channels = [in_channels] + [2 * hidden] * params.layers
        self.sweeps = nn.ModuleList(Sweeps(a, hidden, params) for a in channels[:-1])
        height, width = (min(-(-side // _PATCH**params.layers), _LARGEST_MAP) for side in image_size)
        self.adapt = AdaptivePool((height, width))
        sizes = (2 * hidden * height * width, *dense)
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.relu = nn.ReLU()
        self.dropout = Dropout(0.0, place="body")
        self.head = nn.Linear(dense[-1], num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, 2 hidden, h, w)` with h and w at most 7."""
        for sweep in self.sweeps:
            x = sweep(x)
        return cast(Tensor, self.adapt(x))

    def embed(self, features: Tensor) -> Tensor:
        """Return the last dense layer's output `(B, units)`."""
        hidden = torch.flatten(features, 1)
        for layer in self.dense:
            hidden = self.relu(layer(self.dropout(hidden)))
        return hidden


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network for images of `image_size` (height, width) pixels."""
    return ReNet(params, num_outputs, in_channels, image_size)
