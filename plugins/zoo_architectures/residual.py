"""Residual networks (He et al., "Deep residual learning for image recognition", CVPR 2016), as timm builds them."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from zoo_architectures.adapter import TimmClassifier
from zoo_architectures.specs.residual import ResNet

_IMAGENET_STEM_FROM = 64  # pixels of the shorter side


def _build(name: str, params: ResNet, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    network = timm.create_model(name, num_classes=num_outputs, in_chans=in_channels, drop_rate=0.0)
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


def build_resnet18(params: ResNet, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network of 18 layers with basic blocks."""
    return _build("resnet18", params, num_outputs, in_channels, image_size)


def build_resnet34(params: ResNet, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network of 34 layers with basic blocks."""
    return _build("resnet34", params, num_outputs, in_channels, image_size)


def build_resnet50(params: ResNet, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network of 50 layers with bottleneck blocks; stride 2 is in their 3×3 convolution."""
    return _build("resnet50", params, num_outputs, in_channels, image_size)


def build_resnet101(params: ResNet, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return the network of 101 layers with bottleneck blocks; stride 2 is in their 3×3 convolution."""
    return _build("resnet101", params, num_outputs, in_channels, image_size)
