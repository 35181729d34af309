"""The network of the paper on BatchBALD, which drops whole maps."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.modules import Dropout2d
from zoo_architectures.base import AdaptivePool, EmbeddingClassifier, widened
from zoo_architectures.specs.convolutional import BatchBALDCNN as Params

Size = tuple[int, int]


class BatchBALDCNN(EmbeddingClassifier):
    """Convolutions 32@5×5 and 64@5×5 without padding, each with dropout of maps, max pooling 2 and ReLU, dense, dense.

    Kirsch, van Amersfoort and Gal, "BatchBALD: efficient and diverse batch acquisition for deep Bayesian active learning",
    NeurIPS 2019. Their code drops units of the dense layer before its ReLU; before the classifier, where the `dropout`
    regularizer has its place, that is the same, because the factors are not negative. Images above 28 px are pooled to maps of
    4×4 before the dense layer. A width other than 1 multiplies filters and units.
    """

    depths = ("conv1", "conv2", "hidden")

    def __init__(self, params: Params, num_outputs: int, in_channels: int, image_size: Size) -> None:
        super().__init__()
        height, width = (min(((side - 4) // 2 - 4) // 2, 4) for side in image_size)
        filters1, filters2, units = widened((32, 64, params.hidden), params.width)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv1 = nn.Conv2d(in_channels, filters1, 5)
        self.dropout1 = Dropout2d(0.0, place="body")
        self.conv2 = nn.Conv2d(filters1, filters2, 5)
        self.dropout2 = Dropout2d(0.0, place="body")
        self.adapt = AdaptivePool((height, width))
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(filters2 * height * width, units)
        self.head = nn.Linear(units, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, 64 at width 1, h, w)` with h and w at most 4."""
        maps = self.relu(self.pool(self.dropout1(self.conv1(x))))
        features: Tensor = self.adapt(self.relu(self.pool(self.dropout2(self.conv2(maps)))))
        return features

    def embed(self, features: Tensor) -> Tensor:
        """Return the dense layer's output `(B, hidden)`."""
        embedding: Tensor = self.relu(self.hidden(self.flatten(features)))
        return embedding


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the network for images of `image_size` (height, width) pixels."""
    return BatchBALDCNN(params, num_outputs, in_channels, image_size)
