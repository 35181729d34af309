"""Strategies that look at embeddings: far from one another, or typical of where there are many."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import AcquisitionSpec, Params


class ClusterMargin(Params, frozen=True, kw_only=True):
    """Samples of smallest margin, spread over clusters of their embeddings."""

    candidates: Annotated[int, Meta(ge=1, description="how many times as many samples as asked for are clustered")] = 10
    cluster_size: Annotated[int, Meta(ge=1, description="how many samples a cluster holds on average")] = 10
    limit: Annotated[
        int, Meta(ge=2, le=10_000, description="candidates clustered against each other; memory grows with its square")
    ] = 4000


class Clue(Params, frozen=True, kw_only=True):
    """The samples nearest to the centres of clusters in which uncertain samples weigh more."""

    temperature: Annotated[float, Meta(gt=0, description="below 1: the most uncertain weigh still more")] = 1.0


class ProbCover(Params, frozen=True, kw_only=True):
    """The samples whose neighbourhoods hold the most that no labelled or chosen sample is near to."""

    radius: Annotated[
        Literal["auto"] | Annotated[float, Meta(gt=0)],
        Meta(description="how near, between embeddings of length 1; auto: as far as `purity` lets it be"),
    ] = "auto"
    purity: Annotated[
        float, Meta(gt=0, le=1, description="auto radius: share of balls without a sample of another cluster")
    ] = 0.95


SPECS = [
    AcquisitionSpec(
        name="k-center",
        factory="zoo_acquisitions.diversity:build_k_center",
        summary="farthest from labelled and chosen samples (core-set, ICLR 2018)",
        needs=frozenset({"embeddings", "labeled"}),
    ),
    AcquisitionSpec(
        name="cluster-margin",
        factory="zoo_acquisitions.clustering:build_cluster_margin",
        summary="smallest margins, in turn from each cluster (Citovsky et al., NeurIPS 2021)",
        params=ClusterMargin,
        needs=frozenset({"embeddings", "log_probabilities"}),
    ),
    AcquisitionSpec(
        name="typiclust",
        factory="zoo_acquisitions.clustering:build_typiclust",
        summary="typical samples of clusters without labels (Hacohen et al., ICML 2022)",
        needs=frozenset({"embeddings", "labeled"}),
        fixed_embeddings=True,
    ),
    AcquisitionSpec(
        name="clue",
        factory="zoo_acquisitions.clustering:build_clue",
        summary="nearest to centres of uncertainty-weighted clusters (Prabhu et al., ICCV 2021)",
        params=Clue,
        needs=frozenset({"embeddings", "log_probabilities"}),
    ),
    AcquisitionSpec(
        name="probcover",
        factory="zoo_acquisitions.coverage:build_probcover",
        summary="balls that cover the most of the embeddings (Yehuda et al., NeurIPS 2022)",
        params=ProbCover,
        needs=frozenset({"embeddings", "labeled"}),
        fixed_embeddings=True,
    ),
]
