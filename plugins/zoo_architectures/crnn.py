"""Convolution, then recurrence over columns."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from zoo_architectures import cells
from zoo_architectures.base import AdaptivePool, EmbeddingClassifier
from zoo_architectures.specs.hybrid import CRNN as Params

Size = tuple[int, int]
_HIGHEST = 8  # rows of the maps that one step of the recurrence reads


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)
    )


class CRNN(EmbeddingClassifier):
    """Two convolutions, each halving the maps, and bidirectional recurrent layers that read the maps column by column.

    Shi, Bai and Yao, "An end-to-end trainable neural network for image-based sequence recognition", TPAMI 2017; a smaller
    convolutional part, and both final states go to one classifier instead of a transcription. Maps above 8 rows are pooled.
    """

    depths = ("convolutions", "stack.layers")

    def __init__(self, params: Params, num_outputs: int, in_channels: int, image_size: Size) -> None:
        super().__init__()
        channels = 2 * params.filters
        self.convolutions = nn.ModuleList(
            [_convolution(in_channels, params.filters), _convolution(params.filters, channels)]
        )
        height = min(image_size[0] // 4, _HIGHEST)
        self.adapt = AdaptivePool((height, None))
        self.stack = cells.gated(
            params.cell, channels * height, params.hidden,
            layers=params.layers, bidirectional=True, forget_bias=params.forget_bias,
        )  # fmt: skip
        self.head = nn.Linear(self.stack.width, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the top layer's outputs `(B, W / 4, 2 hidden)`."""
        for convolution in self.convolutions:
            x = convolution(x)
        columns = self.adapt(x).permute(0, 3, 1, 2).flatten(2)
        return cast(Tensor, self.stack(columns))

    def embed(self, features: Tensor) -> Tensor:
        """Return the final states of both directions `(B, 2 hidden)`."""
        return self.stack.last(features)


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network for images of `image_size` (height, width) pixels."""
    return CRNN(params, num_outputs, in_channels, image_size)
