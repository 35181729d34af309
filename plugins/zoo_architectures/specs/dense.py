"""Networks of dense layers alone, which know nothing of what is near what."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from zoo.components import ArchitectureSpec, Params


class MLP(Params, frozen=True, kw_only=True):
    """Dense layers on all values of an image."""

    hidden: Annotated[
        list[Annotated[int, Meta(ge=1)]],
        Meta(min_length=1, description="units of each hidden layer, the first one first"),
    ] = field(default_factory=lambda: [100, 100])
    residual: Annotated[
        bool, Meta(description="add what a hidden layer reads to what it gives, where both have the same size")
    ] = False


SPECS = [
    ArchitectureSpec(
        name="linear",
        factory="zoo_architectures.dense:build_linear",
        summary="logistic regression on all values of an image",
        family="mlp",
        embeddings=True,
        preferred_size=28,
    ),
    ArchitectureSpec(
        name="mlp",
        factory="zoo_architectures.dense:build_mlp",
        summary="hidden dense layers on all values of an image",
        params=MLP,
        family="mlp",
        embeddings=True,
        preferred_size=28,
    ),
]
