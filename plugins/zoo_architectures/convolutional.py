"""The small convolutional baseline."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.modules import Dropout
from zoo_architectures import plugin

_LARGEST_MAP = (
    14  # pixels a side after pooling; what 28 px images give, so the dense layer does not grow with the image
)


class ConvNet(nn.Module):
    """Convolution 3×3, ReLU, max pooling 2, dense, ReLU, dropout, dense.

    Images above 28 px are pooled to maps of 14×14 before the dense layer.
    """

    classifier = "head"

    def __init__(self, params: plugin.ConvNet, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        height, width = (min(side // 2, _LARGEST_MAP) for side in image_size)
        self.conv = nn.Conv2d(in_channels, params.filters, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.adapt = nn.AdaptiveAvgPool2d((height, width))
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(params.filters * height * width, params.hidden)
        self.hidden_relu = nn.ReLU()
        self.dropout = Dropout(0.0, place="head")
        self.head = nn.Linear(params.hidden, num_outputs)
        self.embedding_size = params.hidden

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """All parameter names, stem first, classifier last."""
        return tuple((f"{name}.weight", f"{name}.bias") for name in ("conv", "hidden", "head"))

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, filters, h, w)` with h and w at most 14."""
        features: Tensor = self.adapt(self.pool(self.relu(self.conv(x))))
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the embedding `(B, hidden)` with `pre_logits`, else the outputs `(B, num_outputs)`."""
        embedding: Tensor = self.dropout(self.hidden_relu(self.hidden(self.flatten(features))))
        return embedding if pre_logits else self.head(embedding)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


def build(params: plugin.ConvNet, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network for images of `image_size` (height, width) pixels."""
    return ConvNet(params, num_outputs, in_channels, image_size)
