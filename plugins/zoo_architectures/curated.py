"""Models of timm under names of their own: one factory each."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from zoo.components import NoParams
from zoo_architectures import timm_models


def _factory(model: str) -> Callable[..., nn.Module]:
    def build(params: NoParams, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
        return timm_models.create(model, num_outputs, in_channels, image_size)

    build.__doc__ = f"Return timm's {model} for images of `image_size` (height, width) pixels."
    return build


mobilenetv1 = _factory("mobilenetv1_100")
mobilenetv2 = _factory("mobilenetv2_100")
mobilenetv3_small = _factory("mobilenetv3_small_100")
efficientnet_b0 = _factory("efficientnet_b0")
tf_efficientnet_lite0 = _factory("tf_efficientnet_lite0")
vit_tiny = _factory("vit_tiny_patch16_224")
convnext_atto = _factory("convnext_atto")
convnext_tiny = _factory("convnext_tiny")
mambaout_femto = _factory("mambaout_femto")
