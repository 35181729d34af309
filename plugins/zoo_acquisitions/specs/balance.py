"""Batches that even out the classes of the labelled samples."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.components import AcquisitionSpec, Params


class ClassBalanced(Params, frozen=True, kw_only=True):
    """Uncertain samples of classes that are rare among the labelled ones."""

    weight: Annotated[
        float,
        Meta(ge=0, description="of one expected sample of a lacking class, against the highest entropy; 0: entropy"),
    ] = 1.0


SPECS = [
    AcquisitionSpec(
        name="class-balanced",
        factory="zoo_acquisitions.balance:build",
        summary="uncertain samples of classes that lack labels (Bengar et al., WACV 2022)",
        params=ClassBalanced,
        needs=frozenset({"log_probabilities", "labeled"}),
    ),
]
