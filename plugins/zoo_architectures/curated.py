"""Models of timm by name: their factories, and the weights that timm publishes for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import timm
from torch import Tensor, nn

from zoo.components import Params
from zoo.facts import Pretrained
from zoo_architectures import timm_models
from zoo_architectures.specs.timm_models import Timm


@dataclass(frozen=True, slots=True)
class Published:
    """A model of timm, and the weights that timm publishes for it."""

    name: str

    def pretrained(self, params: Params) -> Pretrained | None:
        """Return the weights that timm publishes first among those of the model, or None."""
        config: Any = timm.get_pretrained_cfg(self.name)
        if config is None or not config.has_weights:
            return None
        return Pretrained(
            mean=tuple(config.mean),
            std=tuple(config.std),
            image_size=max(config.input_size[1:]),
            load=partial(_download, self.name),
            home=f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else str(config.url or ""),
        )


class CuratedFactory(Published):
    """A model of timm as it is, under a name of its own."""

    def build(
        self,
        params: Params,
        *,
        num_outputs: int,
        in_channels: int,
        image_size: tuple[int, int],
        drop_path_rate: float = 0.0,
    ) -> nn.Module:
        """Return the model for images of `image_size` (height, width) pixels."""
        return timm_models.create(self.name, num_outputs, in_channels, image_size, drop_path_rate)


def _download(name: str) -> Mapping[str, Tensor]:
    """Return timm's published state, with the number of classes that it was trained for."""
    state: Mapping[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    return state


def pretrained(params: Timm) -> Pretrained | None:
    """Return what timm publishes for the model that the parameters name."""
    return Published(params.model).pretrained(params)


mobilenetv1 = CuratedFactory("mobilenetv1_100")
mobilenetv2 = CuratedFactory("mobilenetv2_100")
mobilenetv3_small = CuratedFactory("mobilenetv3_small_100")
efficientnet_b0 = CuratedFactory("efficientnet_b0")
tf_efficientnet_lite0 = CuratedFactory("tf_efficientnet_lite0")
vit_tiny = CuratedFactory("vit_tiny_patch16_224")
convnext_atto = CuratedFactory("convnext_atto")
convnext_tiny = CuratedFactory("convnext_tiny")
mambaout_femto = CuratedFactory("mambaout_femto")
