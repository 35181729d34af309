"""The random baseline, and scores of one prediction per sample."""

from __future__ import annotations

from zoo.components import AcquisitionSpec

SPECS = [
    AcquisitionSpec(
        name="random",
        factory="zoo_acquisitions.random_choice:build",
        summary="samples drawn uniformly; the baseline of every comparison",
    ),
    AcquisitionSpec(
        name="least-confidence",
        factory="zoo_acquisitions.uncertainty:build_least_confidence",
        summary="lowest probability of the predicted class",
        needs=frozenset({"log_probabilities"}),
    ),
    AcquisitionSpec(
        name="margin",
        factory="zoo_acquisitions.uncertainty:build_margin",
        summary="smallest gap between the two most probable classes",
        needs=frozenset({"log_probabilities"}),
    ),
    AcquisitionSpec(
        name="entropy",
        factory="zoo_acquisitions.uncertainty:build_entropy",
        summary="highest entropy of the predicted distribution",
        needs=frozenset({"log_probabilities"}),
    ),
    AcquisitionSpec(
        name="expected-gradient-length",
        factory="zoo_acquisitions.uncertainty:build_expected_gradient_length",
        summary="longest expected gradient of the last layer (Settles et al., NIPS 2007)",
        needs=frozenset({"log_probabilities", "embeddings"}),
    ),
]
