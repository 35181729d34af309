"""Depthwise separable convolutions for small images."""

from __future__ import annotations

from torch import nn

from zoo_architectures.base import PooledClassifier, stem, widened
from zoo_architectures.specs.convolutional import SeparableSmall as Params

_STAGES = 3


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return a convolution 3×3 of each map by itself and one 1×1 over all maps, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class SeparableSmall(PooledClassifier):
    """Three stages of separable blocks, of which the second and third halve the maps; each doubles their number, rounded.

    The blocks are those of Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications"
    (2017).
    """

    def __init__(self, params: Params, num_outputs: int, in_channels: int) -> None:
        inputs, *widths = widened((2**stage for stage in range(_STAGES + 1)), params.width)
        first, blocks = stem(in_channels, inputs), []
        for stage, outputs in enumerate(widths):
            for index in range(params.blocks):
                blocks.append(_separable(inputs, outputs, stride=2 if stage > 0 and index == 0 else 1))
                inputs = outputs
        super().__init__(first, blocks, inputs, num_outputs)


def build(params: Params, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network; it takes images of any size."""
    return SeparableSmall(params, num_outputs, in_channels)
