"""The random baseline, and scores of one prediction per sample."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import AcquisitionSpec, Need, Params


class Entropy(Params, frozen=True, kw_only=True):
    """How evenly probability is spread over the classes."""

    of: Annotated[
        Literal["prediction", "mean"],
        Meta(description="prediction: the answer without dropout; mean: the mean over passes with it"),
    ] = "prediction"


def entropy_needs(params: Entropy) -> frozenset[Need]:
    """Return the answer whose entropy is taken."""
    return frozenset({"log_probabilities"} if params.of == "prediction" else {"mc_log_probabilities"})


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
        params=Entropy,
        needs=None,
        describe="zoo_acquisitions.specs.uncertainty:entropy_needs",
    ),
    AcquisitionSpec(
        name="expected-gradient-length",
        factory="zoo_acquisitions.uncertainty:build_expected_gradient_length",
        summary="longest expected gradient of the last layer (Settles et al., NIPS 2007)",
        needs=frozenset({"log_probabilities", "embeddings"}),
    ),
]
