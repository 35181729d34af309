"""Models of the timm library: any by its name there, and some under names of their own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.components import ArchitectureSpec, Params
from zoo.facts import Family


class Timm(Params, frozen=True, kw_only=True):
    """Any image model of timm, initialised at random."""

    model: Annotated[str, Meta(min_length=1, description="name in timm, such as vit_tiny_patch16_224")] = "resnet18"


# Name here: name in timm, family, smallest size, and whose it is. timm's own words of it are in `timm_models.describe`.
CURATED: dict[str, tuple[str, Family, int, str]] = {
    "mobilenetv1": ("mobilenetv1_100", "cnn", 1, "depthwise separable convolutions (Howard et al., 2017)"),
    "mobilenetv2": ("mobilenetv2_100", "cnn", 1, "inverted residuals (Sandler et al., CVPR 2018)"),
    "mobilenetv3-small": ("mobilenetv3_small_100", "cnn", 1, "searched inverted residuals (Howard et al., ICCV 2019)"),
    "efficientnet-b0": ("efficientnet_b0", "cnn", 1, "searched and scaled inverted residuals (Tan and Le, ICML 2019)"),
    "tf-efficientnet-lite0": (
        "tf_efficientnet_lite0",
        "cnn",
        1,
        "EfficientNet-B0 without squeezing (TensorFlow, 2020)",
    ),
    "vit-tiny": ("vit_tiny_patch16_224", "attention", 16, "a transformer on patches (Dosovitskiy et al., ICLR 2021)"),
    "convnext-atto": ("convnext_atto", "cnn", 32, "modern convolutions, 3.7 M weights (Liu et al., CVPR 2022)"),
    "convnext-tiny": ("convnext_tiny", "cnn", 32, "modern convolutions, 28 M weights (Liu et al., CVPR 2022)"),
    "mambaout-femto": ("mambaout_femto", "cnn", 1, "gated convolutions (Yu and Wang, CVPR 2025)"),
}

SPECS = [
    *(
        ArchitectureSpec(
            name=name,
            factory=f"zoo_architectures.curated:{name.replace('-', '_')}.build",
            pretrained=f"zoo_architectures.curated:{name.replace('-', '_')}.pretrained",
            summary=summary,
            family=family,
            embeddings=True,
            min_size=smallest,
            preferred_size=224,
            requires=("timm",),
        )
        for name, (_, family, smallest, summary) in CURATED.items()
    ),
    ArchitectureSpec(
        name="timm",
        factory="zoo_architectures.timm_models:build",
        summary="any image model of the timm library, by its name there",
        params=Timm,
        family=None,
        embeddings=None,
        min_size=None,
        describe="zoo_architectures.timm_models:describe",
        pretrained="zoo_architectures.curated:pretrained",
        requires=("timm",),
    ),
]
