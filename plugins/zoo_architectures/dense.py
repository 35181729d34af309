"""Networks of dense layers alone."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from zoo.components import NoParams
from zoo_architectures.base import EmbeddingClassifier
from zoo_architectures.specs import dense as specs

Size = tuple[int, int]


class Linear(EmbeddingClassifier):
    """One linear layer on all values; with softmax and cross-entropy it is multinomial logistic regression."""

    depths = ()

    def __init__(self, num_outputs: int, inputs: int) -> None:
        super().__init__()
        self.head = nn.Linear(inputs, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the values `(B, C·H·W)`."""
        return x.flatten(1)

    def embed(self, features: Tensor) -> Tensor:
        """Return the values themselves."""
        return features

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """A stem without parameters, and the classifier."""
        return ((), *super().stages)


class MLP(EmbeddingClassifier):
    """Dense layers, each followed by ReLU, on all values.

    With `residual` a layer between sizes that are the same gives x + ReLU(W x + b), as the network of Greydanus and Kobak
    ("Scaling down deep learning with MNIST-1D", ICML 2024) does.
    """

    depths = ("layers",)

    def __init__(self, params: specs.MLP, num_outputs: int, inputs: int) -> None:
        super().__init__()
        sizes = [inputs, *params.hidden]
        self.residual = params.residual
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.relu = nn.ReLU()
        self.head = nn.Linear(sizes[-1], num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer's output `(B, hidden)`."""
        values = x.flatten(1)
        for layer in self.layers:
            out: Tensor = self.relu(layer(values))
            values = values + out if self.residual and values.shape == out.shape else out
        return values

    def embed(self, features: Tensor) -> Tensor:
        """Return the last hidden layer's output as it is."""
        return features


def build_linear(params: NoParams, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return logistic regression on `in_channels` × `image_size` values."""
    return Linear(num_outputs, in_channels * image_size[0] * image_size[1])


def build_mlp(params: specs.MLP, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
    """Return the dense network on `in_channels` × `image_size` values."""
    return MLP(params, num_outputs, in_channels * image_size[0] * image_size[1])
