"""Small convolutional networks without shortcuts."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.modules import Dropout
from zoo_architectures.base import AdaptivePool, EmbeddingClassifier, glorot, widened
from zoo_architectures.specs import convolutional as specs

Size = tuple[int, int]


class ConvNet(EmbeddingClassifier):
    """Convolution 3×3, ReLU, max pooling 2, dense, ReLU, dense.

    Images above 28 px are pooled to maps of 14×14 before the dense layer, so that it does not grow with the image.
    """

    depths = ("conv", "hidden")

    def __init__(self, params: specs.ConvNet, num_outputs: int, in_channels: int, image_size: Size) -> None:
        super().__init__()
        height, width = (min(side // 2, 14) for side in image_size)
        self.conv = nn.Conv2d(in_channels, params.filters, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.adapt = AdaptivePool((height, width))
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(params.filters * height * width, params.hidden)
        self.hidden_relu = nn.ReLU()
        self.head = nn.Linear(params.hidden, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, filters, h, w)` with h and w at most 14."""
        features: Tensor = self.adapt(self.pool(self.relu(self.conv(x))))
        return features

    def embed(self, features: Tensor) -> Tensor:
        """Return the hidden layer's output `(B, hidden)`."""
        embedding: Tensor = self.hidden_relu(self.hidden(self.flatten(features)))
        return embedding


class LeNet5(EmbeddingClassifier):
    """Convolutions 6@5×5 and 16@5×5, each pooled by 2, and dense layers of 120, 84 and the outputs.

    LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998. The first convolution is padded by 2
    as the paper pads its images, the second one sees all maps, and the outputs are linear. Images above 28 px are pooled to
    maps of 5×5 before the dense layers. A width other than 1 multiplies maps and units.
    """

    depths = ("conv1", "conv2", "dense1", "dense2")

    def __init__(self, params: specs.LeNet5, num_outputs: int, in_channels: int, image_size: Size) -> None:
        super().__init__()
        height, width = (min((side // 2 - 4) // 2, 5) for side in image_size)
        maps1, maps2, units1, units2 = widened((6, 16, 120, 84), params.width)
        self.act = nn.ReLU() if params.activation == "relu" else nn.Tanh()
        self.pool = nn.MaxPool2d(2) if params.pooling == "max" else nn.AvgPool2d(2)
        self.conv1 = nn.Conv2d(in_channels, maps1, 5, padding=2)
        self.conv2 = nn.Conv2d(maps1, maps2, 5)
        self.adapt = AdaptivePool((height, width))
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(maps2 * height * width, units1)
        self.dense2 = nn.Linear(units1, units2)
        self.head = nn.Linear(units2, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, 16 at width 1, h, w)` with h and w at most 5."""
        maps = self.pool(self.act(self.conv1(x)))
        features: Tensor = self.adapt(self.pool(self.act(self.conv2(maps))))
        return features

    def embed(self, features: Tensor) -> Tensor:
        """Return the second dense layer's output `(B, 84 at width 1)`."""
        hidden = self.act(self.dense1(self.flatten(features)))
        embedding: Tensor = self.act(self.dense2(hidden))
        return embedding


class KerasCNN(EmbeddingClassifier):
    """Convolutions 32@3×3 and 64@3×3 without padding, max pooling 2, dense, dense.

    The network of Keras's first MNIST example (mnist_cnn.py, 2015), which drops after the pooling and before the last layer. Images above 28 px
    are pooled to maps of 12×12 before the dense layer. A width other than 1 multiplies filters and units. With kernels of 4×4, 32
    filters in both convolutions and weights of Glorot and Bengio it is the network of Gal, Islam and Ghahramani, "Deep Bayesian
    active learning with image data", ICML 2017.
    """

    depths = ("conv1", "conv2", "hidden")

    def __init__(self, params: specs.KerasCNN, num_outputs: int, in_channels: int, image_size: Size) -> None:
        super().__init__()
        height, width = (pooled_side(min(side, 28), params.kernel) for side in image_size)
        filters1, filters2, units = widened((*params.filters, params.hidden), params.width)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, filters1, params.kernel)
        self.conv2 = nn.Conv2d(filters1, filters2, params.kernel)
        self.pool = nn.MaxPool2d(2)
        self.adapt = AdaptivePool((height, width))
        self.pool_dropout = Dropout(0.0, place="body")
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(filters2 * height * width, units)
        self.head = nn.Linear(units, num_outputs)
        if params.init == "glorot":
            glorot(self)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return maps `(B, 64 at width 1, h, w)`, h and w as images of 28 px give them at most: 12 with kernels of 3×3."""
        maps = self.relu(self.conv2(self.relu(self.conv1(x))))
        features: Tensor = self.pool_dropout(self.adapt(self.pool(maps)))
        return features

    def embed(self, features: Tensor) -> Tensor:
        """Return the dense layer's output `(B, hidden)`."""
        embedding: Tensor = self.relu(self.hidden(self.flatten(features)))
        return embedding


def pooled_side(side: int, kernel: int) -> int:
    """Return the pixels per side that two convolutions without padding and a pooling by 2 leave."""
    return (side - 2 * (kernel - 1)) // 2


def build(params: specs.ConvNet, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return conv-net for images of `image_size` (height, width) pixels."""
    return ConvNet(params, num_outputs, in_channels, image_size)


def build_lenet5(params: specs.LeNet5, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return LeNet-5 for images of `image_size` (height, width) pixels."""
    return LeNet5(params, num_outputs, in_channels, image_size)


def build_keras_cnn(params: specs.KerasCNN, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return Keras's example for images of `image_size` (height, width) pixels."""
    return KerasCNN(params, num_outputs, in_channels, image_size)
