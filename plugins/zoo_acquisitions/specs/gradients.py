"""Strategies that look at gradients of the last layer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from zoo.components import AcquisitionSpec, Params


class Bait(Params, frozen=True, kw_only=True):
    """Samples whose labels would tell most about the weights of the last layer."""

    regularization: Annotated[float, Meta(gt=0, description="λ: information that is there without labels")] = 1.0
    classes: Annotated[int, Meta(ge=1, le=100, description="the most probable classes that count of each sample")] = 10
    size: Annotated[
        int, Meta(ge=1, le=4096, description="weights at most, classes × dimensions that embeddings are projected to")
    ] = 512


SPECS = [
    AcquisitionSpec(
        name="badge",
        factory="zoo_acquisitions.gradients:build_badge",
        summary="diverse and long gradients of the last layer (Ash et al., ICLR 2020)",
        needs=frozenset({"embeddings", "log_probabilities"}),
    ),
    AcquisitionSpec(
        name="bait",
        factory="zoo_acquisitions.gradients:build_bait",
        summary="Fisher information of the last layer (Ash et al., NeurIPS 2021)",
        params=Bait,
        needs=frozenset({"embeddings", "log_probabilities", "labeled", "labeled_log_probabilities"}),
    ),
]
