"""Strategies that look at embeddings: far from one another, or typical of where there are many."""

from __future__ import annotations

from zoo.components import AcquisitionSpec

SPECS = [
    AcquisitionSpec(
        name="k-center",
        factory="zoo_acquisitions.diversity:build_k_center",
        summary="farthest from labelled and chosen samples (core-set, ICLR 2018)",
        needs=frozenset({"embeddings", "labeled"}),
    ),
]
