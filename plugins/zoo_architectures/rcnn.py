"""Recurrent convolution (Liang and Hu, "Recurrent convolutional neural network for object recognition", CVPR 2015)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from zoo.modules import Dropout
from zoo_architectures.base import EmbeddingClassifier, widened
from zoo_architectures.specs.hybrid import RCNN as Params

_HALVED_AFTER = 2  # recurrent layers


def _normalization(channels: int) -> nn.Module:
    """Return the paper's local response normalisation: over an eighth of the maps and one, α = 0.001, β = 0.75."""
    return nn.LocalResponseNorm(channels // 8 + 1, alpha=0.001, beta=0.75)


class RecurrentConvolution(nn.Module):
    """x(0) = N(ReLU(f * u)); x(t) = N(ReLU(f * u + r * x(t-1))), for t up to `steps`, with N the local response normalisation.

    The feed-forward input u stays the same, so that the layer's depth grows by one convolution a step and its weights do not.
    """

    def __init__(self, inputs: int, channels: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.feedforward = nn.Conv2d(inputs, channels, 3, padding=1)
        self.recurrent = nn.Conv2d(channels, channels, 3, padding=1, bias=False) if steps else None
        self.normalization = _normalization(channels)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        constant = self.feedforward(maps)
        state = self.normalization(self.relu(constant))
        for _ in range(self.steps):
            assert self.recurrent is not None
            state = self.normalization(self.relu(constant + self.recurrent(state)))
        return cast(Tensor, state)


class RCNN(EmbeddingClassifier):
    """A convolution 5×5 and recurrent convolutional layers, halved after the first and in the middle, and the largest of each map.

    In the paper all layers have as many channels, a growth of 1.
    """

    depths = ("stem", "layers")

    def __init__(self, params: Params, num_outputs: int, in_channels: int) -> None:
        super().__init__()
        width, later = params.filters, *widened((params.filters,), params.growth)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 5, padding=2), nn.ReLU(), _normalization(width), nn.MaxPool2d(2)
        )
        widths = [width, *(width if i < _HALVED_AFTER else later for i in range(params.layers))]
        self.layers = nn.ModuleList(RecurrentConvolution(a, b, params.steps) for a, b in pairwise(widths))
        self.dropouts = nn.ModuleList(Dropout(0.0, place="recurrent") for _ in range(params.layers))
        self.halve = nn.MaxPool2d(2)
        self.largest = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[-1], num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, channels of the last layer, H / 4, W / 4)`."""
        maps = self.stem(x)
        for depth, (layer, dropout) in enumerate(zip(self.layers, self.dropouts, strict=True), start=1):
            maps = dropout(layer(maps))
            if depth == _HALVED_AFTER:
                maps = self.halve(maps)
        return cast(Tensor, maps)

    def embed(self, features: Tensor) -> Tensor:
        """Return the largest value of each map `(B, channels of the last layer)`."""
        return cast(Tensor, self.largest(features).flatten(1))


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network; it takes images of any size."""
    return RCNN(params, num_outputs, in_channels)
