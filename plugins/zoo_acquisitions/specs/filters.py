"""Strategies around another one; they need what it needs and what they look at themselves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from zoo.components import AcquisitionSpec, Component, Need, Params

_LOOKS_AT: dict[str, frozenset[Need]] = {
    "margin": frozenset({"log_probabilities"}),
    "random": frozenset(),
    "nearest": frozenset({"embeddings", "labeled"}),
}


def named(name: str) -> Any:
    """Return a default that makes a name, which is resolved like those of a recipe."""
    return field(default_factory=lambda: name)


class Prefilter(Params, frozen=True, kw_only=True):
    """A strategy that chooses from part of the pool only."""

    strategy: Annotated[
        Component[Literal["acquisition"]], Meta(description="strategy that chooses from what is kept")
    ] = named("k-center")
    by: Annotated[
        Literal["margin", "random", "nearest"],
        Meta(description="keeps smallest margins, any, or the nearest to labelled samples"),
    ] = "margin"
    keep: Annotated[int, Meta(ge=1, description="how many times as many samples as asked for are kept")] = 10


class Distinct(Params, frozen=True, kw_only=True):
    """A strategy without those of its choices that are nearly the same as another or as a labelled sample."""

    strategy: Annotated[Component[Literal["acquisition"]], Meta(description="strategy that chooses")] = named("margin")
    threshold: Annotated[float, Meta(gt=0, le=1, description="cosine of two embeddings above which they are alike")] = (
        0.98
    )


def needs_of(strategy: Component[Any]) -> frozenset[Need]:
    """Return what a strategy inside another reads."""
    assert isinstance(strategy.spec, AcquisitionSpec)
    return strategy.spec.needs_of(strategy.params)


def prefilter_needs(params: Prefilter) -> frozenset[Need]:
    """Return what the filter looks at and what its strategy needs."""
    return needs_of(params.strategy) | _LOOKS_AT[params.by]


def distinct_needs(params: Distinct) -> frozenset[Need]:
    """Return embeddings, those of labelled samples too, and what its strategy needs."""
    return needs_of(params.strategy) | {"embeddings", "labeled"}


SPECS = [
    AcquisitionSpec(
        name="prefilter",
        factory="zoo_acquisitions.filters:build_prefilter",
        summary="a strategy on part of the pool: small margins, any, near to labelled samples",
        params=Prefilter,
        needs=None,
        describe="zoo_acquisitions.specs.filters:prefilter_needs",
    ),
    AcquisitionSpec(
        name="distinct",
        factory="zoo_acquisitions.filters:build_distinct",
        summary="a strategy without choices that are nearly alike",
        params=Distinct,
        needs=None,
        describe="zoo_acquisitions.specs.filters:distinct_needs",
    ),
]
