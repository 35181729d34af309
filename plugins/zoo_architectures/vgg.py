"""VGG (Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015), as timm builds it."""

from __future__ import annotations

from typing import Any

import timm
from timm.layers.classifier import ClassifierHead
from torch import nn

from zoo_architectures.adapter import TimmClassifier
from zoo_architectures.curated import Published
from zoo_architectures.specs.convolutional import VGG

Size = tuple[int, int]
_LARGE = 64  # pixels of the shorter side
_CHANNELS = 512  # of the last maps


class VGGFactory(Published):
    """VGG of 16 layers, the paper's network D, under its name in timm; the small classifier reads the mean of each of the last maps."""

    def build(self, params: VGG, *, num_outputs: int, in_channels: int, image_size: Size) -> nn.Module:
        """Return the network with the classifier that the parameters ask for."""
        small = params.classifier == "small" or (params.classifier == "auto" and min(image_size) < _LARGE)
        # timm has no way to leave the dense layers of 120 million weights out; a ratio makes them one unit wide until they go.
        narrow: dict[str, Any] = {"mlp_ratio": 1 / 4096} if small else {}
        network: Any = timm.create_model(
            self.name, num_classes=num_outputs, in_chans=in_channels, drop_rate=0.0, **narrow
        )
        if small:
            network.pre_logits = nn.Identity()
            network.head = ClassifierHead(_CHANNELS, num_outputs, pool_type="avg")
            nn.init.normal_(network.head.fc.weight, std=0.01)
            nn.init.zeros_(network.head.fc.bias)
        return TimmClassifier(network, "head.fc")


vgg16 = VGGFactory("vgg16")
vgg16_bn = VGGFactory("vgg16_bn")
