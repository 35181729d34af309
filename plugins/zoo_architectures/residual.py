"""Residual networks (He et al., "Deep residual learning for image recognition", CVPR 2016), as timm builds them."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from zoo.components import Params
from zoo.facts import Pretrained
from zoo_architectures.adapter import TimmClassifier
from zoo_architectures.curated import Published
from zoo_architectures.specs.residual import ResNet

_IMAGENET_STEM_FROM = 64  # pixels of the shorter side


class ResNetFactory(Published):
    """A residual network under its name in timm; with 50 layers or more, stride 2 is in the 3×3 convolution of a bottleneck."""

    def build(
        self,
        params: ResNet,
        *,
        num_outputs: int,
        in_channels: int,
        image_size: tuple[int, int],
        drop_path_rate: float = 0.0,
    ) -> nn.Module:
        """Return the network with the stem that the parameters ask for."""
        network = timm.create_model(
            self.name, num_classes=num_outputs, in_chans=in_channels, drop_rate=0.0, drop_path_rate=drop_path_rate
        )
        if params.stem == "small" or (params.stem == "auto" and min(image_size) < _IMAGENET_STEM_FROM):
            _use_small_stem(network, in_channels)
        return TimmClassifier(network, "fc")

    def pretrained(self, params: Params) -> Pretrained | None:
        """Return timm's weights; there are none for the small stem."""
        assert isinstance(params, ResNet)
        return None if params.stem == "small" else super().pretrained(params)


def _use_small_stem(network: Any, in_channels: int) -> None:
    """Replace the 7×7 stride-2 convolution and pooling, as the paper's section 4.2 does for CIFAR-10."""
    width = network.conv1.out_channels
    network.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()


resnet18 = ResNetFactory("resnet18")
resnet34 = ResNetFactory("resnet34")
resnet50 = ResNetFactory("resnet50")
resnet101 = ResNetFactory("resnet101")
