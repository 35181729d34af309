"""Convolution along one axis, for signals."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.errors import ComponentError
from zoo_architectures.base import EmbeddingClassifier
from zoo_architectures.specs.convolutional import SignalCNN as Params

Size = tuple[int, int]
SHORTEST = 3  # values that the first kernel of 5 covers with one of padding on either side


class SignalCNN(EmbeddingClassifier):
    """Convolutions of 5, 3 and 3 values along the last axis, each with stride 2, padding 1 and ReLU, and one dense layer.

    The network of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024. A signal is an image one pixel
    high; of a higher one each row of each channel is a channel of the signal.
    """

    depths = ("convolutions",)

    def __init__(self, params: Params, num_outputs: int, channels: int, length: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        for inputs, kernel in ((channels, 5), (params.filters, 3), (params.filters, 3)):
            self.convolutions.append(nn.Conv1d(inputs, params.filters, kernel, stride=2, padding=1))
            length = (length + 2 - kernel) // 2 + 1
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(params.filters * length, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, filters, length / 8)`."""
        maps = x.flatten(1, 2)
        for convolution in self.convolutions:
            maps = self.relu(convolution(maps))
        return maps

    def embed(self, features: Tensor) -> Tensor:
        """Return the values of all maps `(B, filters · length / 8)`."""
        embedding: Tensor = self.flatten(features)
        return embedding


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network for signals of `image_size[1]` values; raises ComponentError where they are too short."""
    height, length = image_size
    if length < SHORTEST:
        raise ComponentError(f"signal-cnn cannot read signals of {length} values", possible=f"{SHORTEST} or more")
    return SignalCNN(params, num_outputs, in_channels * height, length)
