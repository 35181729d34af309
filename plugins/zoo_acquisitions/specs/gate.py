"""The gate around a strategy, which needs what that needs and what the gate looks at."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import AcquisitionSpec, Component, Need, Params
from zoo_acquisitions.specs.filters import named, needs_of

NEIGHBOURS = 5  # the nearest of so many labelled samples that counts, or the farthest of all where they are fewer

_LOOKS_AT: dict[str, frozenset[Need]] = {
    "energy": frozenset({"logits", "held_out"}),
    "nearest": frozenset({"embeddings", "labeled", "held_out"}),
}


class Gate(Params, frozen=True, kw_only=True):
    """A strategy that does not ask for what looks unknown."""

    strategy: Annotated[
        Component[Literal["acquisition"]], Meta(description="strategy that chooses from what is accepted")
    ] = named("entropy")
    by: Annotated[
        Literal["energy", "nearest"],
        Meta(description="what tells the unknown: energy of the logits, distance to labelled samples"),
    ] = "energy"
    accept: Annotated[
        float, Meta(gt=0, lt=1, description="share of known samples that are to be accepted, at most")
    ] = 0.95


def gate_needs(params: Gate) -> frozenset[Need]:
    """Return what the gate looks at and what its strategy needs."""
    return needs_of(params.strategy) | _LOOKS_AT[params.by]


SPECS = [
    AcquisitionSpec(
        name="gate",
        factory="zoo_acquisitions.gate:build",
        summary="a strategy that does not ask for samples that look unknown",
        params=Gate,
        needs=None,
        describe="zoo_acquisitions.specs.gate:gate_needs",
    )
]
