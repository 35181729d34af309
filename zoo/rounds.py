"""The `active` block of a recipe: how a labelled set grows from round to round."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from zoo.components import Component

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, lt=1)]


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """What `zoo active` simulates: rounds of training, scoring, choosing and labelling."""

    strategies: Annotated[
        list[Component[Literal["acquisition"]]],
        Meta(description="compared with one another and with random; empty: the recipe's acquisition"),
    ] = []
    init: Annotated[Count, Meta(description="labels before the first round")] = 20
    initial: Annotated[
        Literal["balanced", "random"], Meta(description="balanced: as many of each class; random: as they come")
    ] = "balanced"
    query: Annotated[
        Count | Annotated[list[Count], Meta(min_length=1)],
        Meta(
            description="samples asked for in a round; a list: in one round after another, the last number from then on"
        ),
    ] = 10
    rounds: Annotated[Count, Meta(description="times that is asked")] = 10
    start: Annotated[
        Literal["scratch", "warm"],
        Meta(description="scratch: train new weights in each round; warm: go on with the last"),
    ] = "scratch"
    steps: Annotated[
        Count | None, Meta(description="optimizer steps of each training; null: as long as training says")
    ] = 500
    pool_subset: Annotated[
        Count | None, Meta(description="choose from so many samples drawn anew in each round, whole groups of them")
    ] = None
    passes: Annotated[
        Count, Meta(description="dropout passes over each sample, where a strategy or measure needs them")
    ] = 20
    measure: Annotated[
        Literal["deterministic", "dropout-mean"],
        Meta(description="the answers on test that count: without dropout, or the mean over passes with it"),
    ] = "deterministic"
    validation: Annotated[
        Literal["unused", "counted", "free"],
        Meta(
            description="unused: the last weights of each training; counted: the best on validation, whose labels are part of"
            " the budget; free: without counting them"
        ),
    ] = "unused"
    noise: Annotated[Share, Meta(description="share of answers that name a wrong class")] = 0.0
    unknown: Annotated[
        str | None,
        Meta(description="other images in the pool, of no known class: a path, or the name of a data source"),
    ] = None
    unknown_classes: Annotated[
        list[str], Meta(description="classes whose images stay in the pool, of no known class")
    ] = []
    target_inputs: Annotated[
        str | None,
        Meta(
            description="images that predictions are wanted for, for strategies that ask for them: a path, in folders as classes"
            " are, or the name of a data source; null: some of the pool"
        ),
    ] = None
    corrupted: Annotated[Share, Meta(description="share of the pool that is seen corrupted")] = 0.0
    folds: Annotated[
        Annotated[int, Meta(ge=2)],
        Meta(
            description="in which labelled samples are held out from training, where a strategy asks what is said of them then"
        ),
    ] = 5
    robustness: Annotated[
        Count | None, Meta(description="test images on which every model is also tested under corruptions")
    ] = None
    stop: Annotated[
        list[str],
        Meta(description="reasons to stop before the last round: labels=N of answers, plateau, stable, gain=POINTS"),
    ] = []
    until_test_error: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Meta(description="for replications only: end once the test error is this low"),
    ] = None
    targets: Annotated[
        list[Annotated[float, Meta(gt=0, lt=1)]], Meta(description="test errors whose number of labels is reported")
    ] = []
    smooth: Annotated[Count, Meta(description="rounds over which curves are averaged for these targets")] = 1

    def asked(self, round: int) -> int:
        """Return how many samples are asked for after the training of a round, from 0."""
        sizes = self.query if isinstance(self.query, list) else [self.query]
        return sizes[min(round, len(sizes) - 1)]
