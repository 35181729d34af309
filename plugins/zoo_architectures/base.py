"""The form that our own networks share: features, an embedding, and a linear classifier called `head`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, cast

import torch
from torch import Tensor, nn


class EmbeddingClassifier(nn.Module):
    """A network whose `head` is an nn.Linear on the vector that `embed` makes of the features.

    `depths` names the children by depth, stem first; parameters that stand in none of them belong to the head.
    """

    classifier = "head"
    depths: ClassVar[tuple[str, ...]]
    head: nn.Linear

    @abstractmethod
    def forward_features(self, x: Tensor) -> Tensor:
        """Return the features of images `(B, C, H, W)`, of whatever shape."""

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding `(B, embedding_size)` of the features."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the embedding `(B, embedding_size)` with `pre_logits`, else the outputs `(B, num_outputs)`."""
        embedding = self.embed(features)
        return embedding if pre_logits else self.head(embedding)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    @property
    def embedding_size(self) -> int:
        return self.head.in_features

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """All parameter names by depth, stem first, classifier last; each child of a list of modules is a depth of its own."""
        names = [name for name, _ in self.named_parameters()]
        prefixes = [prefix for depth in self.depths for prefix in self._prefixes(depth)]
        stages = [tuple(name for name in names if name.startswith(f"{prefix}.")) for prefix in prefixes]
        return (*(stage for stage in stages if stage), tuple(n for n in names if n.startswith("head.")))

    def _prefixes(self, child: str) -> list[str]:
        module = self.get_submodule(child)
        return [f"{child}.{i}" for i in range(len(module))] if isinstance(module, nn.ModuleList) else [child]


class AdaptivePool(nn.AdaptiveAvgPool2d):
    """Averages maps `(B, C, H, W)` to `(height, width)`, None being what they have.

    Maps of that size are returned themselves, where torch averages each pixel alone, forward and backward.
    """

    output_size: tuple[int | None, int | None]

    def forward(self, x: Tensor) -> Tensor:
        fits = all(to in (None, side) for side, to in zip(x.shape[-2:], self.output_size, strict=True))
        return x if fits else super().forward(x)


def widened(sizes: Iterable[int], width: float) -> tuple[int, ...]:
    """Return numbers of channels or units times a width multiplier, rounded and at least 1.

    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications" (2017).
    """
    return tuple(max(1, round(size * width)) for size in sizes)


def glorot(model: nn.Module) -> None:
    """Draw the weights of convolutions and dense layers uniformly as Keras does by default, and set their biases to 0.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def stem(in_channels: int, width: int) -> nn.Sequential:
    """Return a convolution 3×3 that keeps the size of the image, with batch norm and ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


class PooledClassifier(EmbeddingClassifier):
    """A stem, blocks one after another, global average pooling of `maps` maps, and a dense layer."""

    depths = ("stem", "blocks")

    def __init__(self, stem: nn.Module, blocks: Iterable[nn.Module], maps: int, num_outputs: int) -> None:
        super().__init__()
        self.stem, self.blocks = stem, nn.ModuleList(blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(maps, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the maps `(B, maps, h, w)` of the last block."""
        maps = self.stem(x)
        for block in self.blocks:
            maps = block(maps)
        return cast(Tensor, maps)

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean of each map `(B, maps)`."""
        return torch.flatten(self.pool(features), 1)
