"""The `schedule` block of a recipe: one struct for each name, its fields the keys, their types and `Meta` ranges the checks."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Fraction = Annotated[float, Meta(ge=0, le=1)]


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """The optimizer's learning rate, after a linear warm-up."""

    warmup: Annotated[Fraction, Meta(description="share of all steps spent rising from 0")] = 0.0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The rate times `gamma` at each milestone."""

    milestones: Annotated[list[Fraction], Meta(description="shares of all steps")] = msgspec.field(
        default_factory=lambda: [0.5, 0.75]
    )
    gamma: Annotated[float, Meta(gt=0, le=1)] = 0.1
    warmup: Fraction = 0.0


class Cosine(msgspec.Struct, frozen=True, kw_only=True):
    """Half a cosine from the rate to `final` times the rate (Loshchilov and Hutter, 2017), after a linear warm-up."""

    warmup: Fraction = 0.0
    final: Fraction = 0.0


class OneCycle(msgspec.Struct, frozen=True, kw_only=True):
    """A rise from `start` times the rate, then a cosine to `final` times it (Smith and Topin, 2018)."""

    warmup: Fraction = 0.3
    start: Annotated[float, Meta(gt=0, le=1)] = 0.04
    final: Fraction = 0.0


class Plateau(msgspec.Struct, frozen=True, kw_only=True):
    """The rate times `factor` when `monitor` has not improved for `patience` epochs."""

    monitor: str = "validation/loss"
    factor: Annotated[float, Meta(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Meta(ge=0)] = 5
    min_delta: Annotated[float, Meta(ge=0)] = 0.0
    warmup: Fraction = 0.0


Schedule = Constant | Step | Cosine | OneCycle | Plateau
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "plateau": Plateau,
}
