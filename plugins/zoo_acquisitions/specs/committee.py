"""Scores of several models per sample."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import AcquisitionSpec, Params


class Committee(Params, frozen=True, kw_only=True):
    """Samples on which independently trained models disagree."""

    disagreement: Annotated[
        Literal["kl", "vote-entropy"],
        Meta(
            description="kl: mean divergence of members from their mean; vote-entropy: entropy of their predicted classes"
        ),
    ] = "kl"
    members: Annotated[
        tuple[str, ...],
        Meta(
            description="names of the recipes of its members, each trained independently in each round; one may be named several times"
        ),
    ] = ()


SPECS = [
    AcquisitionSpec(
        name="committee",
        factory="zoo_acquisitions.committee:build",
        summary="highest disagreement of independently trained models",
        params=Committee,
        needs=frozenset({"committee"}),
    ),
]
