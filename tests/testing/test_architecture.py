from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from zoo.components import ArchitectureSpec, Component, Params, Provenance
from zoo.testing.architecture import check_scales


class Settings(Params, frozen=True, kw_only=True):
    """One scale that counts, one that does not, and one that is no number."""

    width: int = 4
    idle: float = 1.0
    kind: str = "small"


def build(params: Settings, *, num_outputs: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    inputs = in_channels * image_size[0] * image_size[1]
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, params.width), nn.Linear(params.width, num_outputs))


def declared(*scales: str) -> Component[Any]:
    spec = ArchitectureSpec(
        name="net",
        factory=f"{__name__}:build",
        summary="a net",
        params=Settings,
        family="mlp",
        embeddings=False,
        scales=scales,
    )
    return Component(spec, "acme/net", Settings(), Provenance("acme", "acme", "1"))


def test_a_scale_must_be_a_number_that_adds_parameters() -> None:
    assert check_scales(declared("width")) is None
    with pytest.raises(AssertionError, match=r"idle=2\.0 gives 3,101 parameters, and idle=1\.0 3,101"):
        check_scales(declared("width", "idle"))
    with pytest.raises(AssertionError, match="scale 'kind' must be a number, and its default is 'small'"):
        check_scales(declared("kind"))
