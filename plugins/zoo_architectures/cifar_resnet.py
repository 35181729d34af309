"""Residual networks for small images (He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.modules import DropPath, rising
from zoo_architectures.base import PooledClassifier, stem, widened
from zoo_architectures.specs.residual import CifarResNet


class Block(nn.Module):
    """Two convolutions 3×3 with batch norm, around which the input is added.

    Where maps are halved, the shortcut takes every second pixel, and new channels are 0: the paper's option A, without parameters.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: float, drop_path: float) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, outputs - inputs
        (between,) = widened((outputs,), expansion)
        self.conv1 = nn.Conv2d(inputs, between, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(between)
        self.conv2 = nn.Conv2d(between, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.drop_path(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.new_channels:
            before = self.new_channels // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.new_channels - before))
        return cast(Tensor, self.relu(residual + shortcut))


class CifarClassifier(PooledClassifier):
    """Three stages of blocks; the second and third halve the maps and double their number."""

    def __init__(self, params: CifarResNet, blocks: int, num_outputs: int, in_channels: int, drop_path: float) -> None:
        widths = [params.width] + [params.width * 2**stage for stage in range(3) for _ in range(blocks)]
        rates = rising(drop_path, len(widths) - 1)
        first = stem(in_channels, params.width)
        body = [
            Block(a, b, stride=1 if a == b else 2, expansion=params.expansion, drop_path=rate)
            for (a, b), rate in zip(pairwise(widths), rates, strict=True)
        ]
        super().__init__(first, body, widths[-1], num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


@dataclass(frozen=True, slots=True)
class CifarFactory:
    """The network of so many blocks a stage."""

    blocks: int

    def build(
        self,
        params: CifarResNet,
        *,
        num_outputs: int,
        in_channels: int,
        image_size: tuple[int, int],
        drop_path_rate: float = 0.0,
    ) -> nn.Module:
        """Return the network; it takes images of any size."""
        return CifarClassifier(params, self.blocks, num_outputs, in_channels, drop_path_rate)


resnet20 = CifarFactory(3)
resnet32 = CifarFactory(5)
resnet56 = CifarFactory(9)
