from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from zoo.components import Component, NoParams, Params
from zoo.console.parameters import describe


class Sample(Params, frozen=True, kw_only=True):
    lr: Annotated[float, Meta(gt=0, lt=1, description="rate")] = 0.1
    width: Annotated[Literal["auto"] | Annotated[int, Meta(ge=1)], Meta(description="channels")] = "auto"
    betas: tuple[float, float] = (0.9, 0.999)
    names: list[str] = msgspec.field(default_factory=list)
    pretrained: bool = False
    seed: int | None = None
    base: Component[Literal["optimizer"]] | None = None


def test_types_ranges_defaults_and_descriptions() -> None:
    found = {p.name: (p.type, p.default, p.description) for p in describe(Sample)}
    assert found == {
        "lr": ("number > 0, < 1", 0.1, "rate"),
        "width": ("auto or integer ≥ 1", "auto", "channels"),
        "betas": ("[number, number]", [0.9, 0.999], ""),
        "names": ("list of text", [], ""),
        "pretrained": ("true or false", False, ""),
        "seed": ("integer or null", None, ""),
        "base": ("component or null", None, ""),
    }


def test_no_parameters() -> None:
    assert describe(NoParams) == []
