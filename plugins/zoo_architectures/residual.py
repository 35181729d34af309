"""Residual networks (He et al., "Deep residual learning for image recognition", CVPR 2016), as timm builds them."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from zoo_architectures import plugin
from zoo_architectures.adapter import TimmClassifier

_IMAGENET_STEM_FROM = 64  # pixels of the shorter side


def _build(
    name: str,
    params: plugin.ResNet,
    num_outputs: int,
    in_channels: int,
    image_size: tuple[int, int],
    drop_path_rate: float,
) -> nn.Module:
    network = timm.create_model(
        name, num_classes=num_outputs, in_chans=in_channels, drop_rate=0.0, drop_path_rate=drop_path_rate
    )
    small = params.stem == "small" or (params.stem == "auto" and min(image_size) < _IMAGENET_STEM_FROM)
    if small:
        _use_small_stem(network, in_channels)
    return TimmClassifier(network, "fc")


def _use_small_stem(network: Any, in_channels: int) -> None:
    """Replace the 7×7 stride-2 convolution and pooling, as the paper's section 4.2 does for CIFAR-10."""
    width = network.conv1.out_channels
    network.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()


def build_resnet18(
    params: plugin.ResNet,
    *,
    num_outputs: int,
    in_channels: int,
    image_size: tuple[int, int],
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """Return the network of 18 layers with basic blocks."""
    return _build("resnet18", params, num_outputs, in_channels, image_size, drop_path_rate)


def build_resnet50(
    params: plugin.ResNet,
    *,
    num_outputs: int,
    in_channels: int,
    image_size: tuple[int, int],
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """Return the network of 50 layers with bottleneck blocks; stride 2 is in their 3×3 convolution."""
    return _build("resnet50", params, num_outputs, in_channels, image_size, drop_path_rate)
