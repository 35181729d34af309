"""Scores of several dropout passes per sample: how much they disagree, and what a label would tell."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import AcquisitionSpec, Need, Params

PASSES: frozenset[Need] = frozenset({"mc_log_probabilities"})


class VariationRatio(Params, frozen=True, kw_only=True):
    """How seldom the passes agree on a class."""

    of: Annotated[
        Literal["mean", "votes"],
        Meta(description="mean: 1 - largest mean probability; votes: 1 - share of the class that most passes predict"),
    ] = "mean"


class PowerBALD(Params, frozen=True, kw_only=True):
    """Samples drawn without replacement in proportion to a power of their mutual information."""

    power: Annotated[float, Meta(ge=0, description="0: uniformly at random; 1: in proportion; large: the highest")] = (
        1.0
    )


class BatchBALD(Params, frozen=True, kw_only=True):
    """A batch whose labels together tell the most of the weights, chosen greedily."""

    exact: Annotated[
        int, Meta(ge=1, description="joint entropies are exact up to this many labelings of batch and candidate")
    ] = 10_000
    samples: Annotated[int, Meta(ge=1, description="labelings of the batch drawn beyond that")] = 1_000
    candidates: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="look only at so many of the highest bald; null: all")
    ] = None


SPECS = [
    AcquisitionSpec(
        name="variation-ratio",
        factory="zoo_acquisitions.bayesian:build_variation_ratio",
        summary="lowest agreement of dropout passes on one class (Freeman, 1965)",
        params=VariationRatio,
        needs=PASSES,
    ),
    AcquisitionSpec(
        name="mean-std",
        factory="zoo_acquisitions.bayesian:build_mean_std",
        summary="highest standard deviation over dropout passes, mean over classes",
        needs=PASSES,
    ),
    AcquisitionSpec(
        name="bald",
        factory="zoo_acquisitions.bayesian:build_bald",
        summary="mutual information of label and weights (Houlsby et al., 2011)",
        needs=PASSES,
    ),
    AcquisitionSpec(
        name="power-bald",
        factory="zoo_acquisitions.bayesian:build_power_bald",
        summary="drawn in proportion to a power of bald (Kirsch et al., TMLR 2023)",
        params=PowerBALD,
        needs=PASSES,
    ),
    AcquisitionSpec(
        name="batch-bald",
        factory="zoo_acquisitions.batch_bald:build",
        summary="highest joint mutual information of a batch (Kirsch et al., NeurIPS 2019)",
        params=BatchBALD,
        needs=PASSES,
    ),
    AcquisitionSpec(
        name="epig",
        factory="zoo_acquisitions.bayesian:build_epig",
        summary="information about predictions of target inputs (Bickford Smith et al., 2023)",
        needs=PASSES | {"target"},
    ),
]
