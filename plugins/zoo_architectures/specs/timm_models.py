"""Models of the timm library: any by its name there, and some under names of their own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.components import ArchitectureSpec, Family, Params


class Timm(Params, frozen=True, kw_only=True):
    """Any image model of timm, initialised at random."""

    model: Annotated[str, Meta(min_length=1, description="name in timm, such as vit_tiny_patch16_224")] = "resnet18"


SPECS = [
    ArchitectureSpec(
        name="timm",
        factory="zoo_architectures.timm_models:build",
        summary="any image model of the timm library, by its name there",
        params=Timm,
        family=None,
        embeddings=None,
        min_size=None,
        describe="zoo_architectures.timm_models:describe",
        requires=("timm",),
    ),
]
