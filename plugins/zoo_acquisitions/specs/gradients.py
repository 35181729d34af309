"""Strategies that look at gradients of the last layer."""

from __future__ import annotations

from zoo.components import AcquisitionSpec

SPECS = [
    AcquisitionSpec(
        name="badge",
        factory="zoo_acquisitions.gradients:build_badge",
        summary="diverse and long gradients of the last layer (Ash et al., ICLR 2020)",
        needs=frozenset({"embeddings", "log_probabilities"}),
    ),
]
