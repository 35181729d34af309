"""One block layout around an exchangeable spatial mixer: everything but the mixer is the same for a recurrent and a
convolutional network.

Blocks: Yu et al., "MetaFormer is actually what you need for vision", CVPR 2022. Mixers: the two-dimensional bidirectional LSTM
of Tatsunami and Taki, "Sequencer: deep LSTM for image classification", NeurIPS 2022; depthwise convolution as in Liu et al., "A
ConvNet for the 2020s", CVPR 2022; the pooling of MetaFormer.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from zoo.facts import ArchitectureFacts, Family
from zoo.modules import Dropout, DropPath, rising
from zoo_architectures import cells
from zoo_architectures.base import EmbeddingClassifier
from zoo_architectures.specs.hybrid import MixerSwap as Params

Size = tuple[int, int]
_FAMILIES: dict[str, Family] = {
    "bilstm2d": "rnn", "bigru2d": "rnn", "depthwise-conv": "cnn", "conv3": "cnn", "pool": "cnn", "identity": "mlp"
}  # fmt: skip


class Recurrent2d(nn.Module):
    """A bidirectional recurrent layer along each column and one along each row, their outputs side by side, projected.

    Maps `(B, H, W, C)` to the same.
    """

    def __init__(self, cell: cells.Cell, width: int, hidden: int, forget_bias: float) -> None:
        super().__init__()
        self.columns, self.rows = (
            cells.gated(cell, width, hidden, bidirectional=True, forget_bias=forget_bias) for _ in range(2)
        )
        self.project = nn.Linear(4 * hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, _ = x.shape
        down = self.columns(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, width)).transpose(1, 2)
        across = self.rows(x.flatten(0, 1)).unflatten(0, (batch, height))
        return cast(Tensor, self.project(torch.cat([down, across], 3)))


class OnMaps(nn.Module):
    """A module for maps `(B, C, H, W)` applied to `(B, H, W, C)`."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.inner(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Pool(nn.Module):
    """The mean of 3×3 neighbours less the pixel itself, since the block adds it again."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)

    def forward(self, maps: Tensor) -> Tensor:
        return cast(Tensor, self.mean(maps) - maps)


def mixer(params: Params) -> nn.Module:
    """Return the spatial mixer `(B, H, W, C)` → the same that the parameters name."""
    width = params.width
    match params.mixer:
        case "bilstm2d" | "bigru2d":
            cell: cells.Cell = "lstm" if params.mixer == "bilstm2d" else "gru"
            return Recurrent2d(cell, width, params.hidden, params.forget_bias)
        case "depthwise-conv":
            spatial = nn.Conv2d(width, width, params.kernel, padding=params.kernel // 2, groups=width)
            return nn.Sequential(OnMaps(spatial), nn.Linear(width, width))
        case "conv3":
            return OnMaps(nn.Conv2d(width, width, 3, padding=1))
        case "pool":
            return OnMaps(Pool())
        case "identity":
            return nn.Identity()


class Block(nn.Module):
    """x ← x + mixer(norm(x)); x ← x + channel mixer(norm(x))."""

    def __init__(self, params: Params, drop_path: float) -> None:
        super().__init__()
        hidden = max(1, round(params.width * params.expansion))
        self.norm1, self.norm2 = (nn.LayerNorm(params.width) for _ in range(2))
        self.mixer = mixer(params)
        self.channels = nn.Sequential(
            nn.Linear(params.width, hidden), nn.GELU(), Dropout(0.0, place="body"), nn.Linear(hidden, params.width)
        )
        self.drop_path1, self.drop_path2 = DropPath(drop_path), DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path1(self.mixer(self.norm1(x)))
        return cast(Tensor, x + self.drop_path2(self.channels(self.norm2(x))))


class MixerSwap(EmbeddingClassifier):
    """Patches, equal blocks, a norm, the mean over all patches, and a dense layer."""

    depths = ("patches", "blocks", "norm")

    def __init__(self, params: Params, num_outputs: int, in_channels: int, drop_path: float) -> None:
        super().__init__()
        self.patches = nn.Conv2d(in_channels, params.width, params.patch, params.patch)
        self.blocks = nn.ModuleList(Block(params, rate) for rate in rising(drop_path, params.depth))
        self.norm = nn.LayerNorm(params.width)
        self.head = nn.Linear(params.width, num_outputs)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return `(B, H / patch, W / patch, width)`; a border that fills no patch is not read."""
        tokens = self.patches(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            tokens = block(tokens)
        return cast(Tensor, self.norm(tokens))

    def embed(self, features: Tensor) -> Tensor:
        """Return the mean over all patches `(B, width)`."""
        return features.mean((1, 2))


def describe(params: Params) -> ArchitectureFacts:
    """Return the facts: the mixer decides the family."""
    return ArchitectureFacts(family=_FAMILIES[params.mixer], embeddings=True, min_size=params.patch, preferred_size=32)


def build(
    params: Params, *, num_outputs: int, in_channels: int, image_size: Size, drop_path_rate: float = 0.0
) -> nn.Module:
    """Return the network; it takes images of any size."""
    return MixerSwap(params, num_outputs, in_channels, drop_path_rate)
