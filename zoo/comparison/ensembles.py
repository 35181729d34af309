"""What two models answer together, within a family and across families, beside what each answers alone.

Members are trained apart; an ensemble's answer is the mean of their probabilities (Lakshminarayanan, Pritzel and Blundell,
"Simple and scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.comparison.answers import Answers
from zoo.comparison.crossed import accuracy, differences, interval, mean_over
from zoo.comparison.plan import Plan
from zoo.comparison.verdicts import plain
from zoo.evaluation.metrics import log_softmax

Row = dict[str, Any]
Right = NDArray[np.bool_]


def ensembles(plan: Plan, tables: Sequence[Answers]) -> list[Row]:
    """Return a row for every two families, one and itself included: the accuracy of the pairs of models from them.

    A pair has two different recipes of the same seed; `accuracy` and `gain`, over the better member of each pair on validation,
    are means over pairs with intervals over seeds and samples, the recipes taken as fixed. `macs` and `training_macs` are means
    of the sums of both members', of one image and of the whole training. Families of one recipe have no pair within. `pairs`
    lists each. Where the plan has larger models, `larger` names the best of them on validation, its accuracy and its costs, and
    `above_larger` is the difference of the pairs and it.
    """
    everyone = {contestant.name: contestant for contestant in plan.contestants}
    seeds = sorted(set.intersection(*(set(table.seeds) for table in tables))) if tables else []
    if not seeds:
        return []
    alone = max(
        (table for table in tables if everyone[table.contestant].larger),
        key=lambda table: sum(_validation(table, seed) for seed in seeds),
        default=None,
    )
    members = {
        family: [table for table in tables if table.contestant in names] for family, names in plan.families.items()
    }
    kinds = ((a, b, list(_pairs(members[a], members[b], same=a == b))) for a, b in _kinds(members))
    return [_kind(plan, a, b, pairs, seeds, alone) for a, b, pairs in kinds if pairs]


def _kinds(members: Mapping[str, Sequence[Answers]]) -> Iterator[tuple[str, str]]:
    return combinations_with_replacement([family for family, found in members.items() if found], 2)


def _pairs(ours: Sequence[Answers], theirs: Sequence[Answers], *, same: bool) -> Iterator[tuple[Answers, Answers]]:
    if same:
        yield from combinations(ours, 2)
    else:
        yield from ((a, b) for a in ours for b in theirs)


def _kind(
    plan: Plan, a: str, b: str, pairs: Sequence[tuple[Answers, Answers]], seeds: Sequence[int], alone: Answers | None
) -> Row:
    together = [together_right(first, second, seeds) for first, second in pairs]
    better = [_better(first, second, seeds) for first, second in pairs]
    gains = mean_over(differences(right, best) for right, best in zip(together, better, strict=True))
    costs = [[sum(each) for each in zip(cost(plan, first), cost(plan, second), strict=True)] for first, second in pairs]
    row = {
        "a": a,
        "b": b,
        "accuracy": plain(accuracy(mean_over(together), plan.question.level)),
        "gain": _estimate(plan, gains),
        "macs": fmean(macs for macs, _ in costs),
        "training_macs": fmean(training for _, training in costs),
        "pairs": [
            {"members": [first.contestant, second.contestant], "accuracy": float(right.mean()), "macs": macs}
            for (first, second), right, (macs, _) in zip(pairs, together, costs, strict=True)
        ],
    }
    if alone is not None:
        right = alone.right_on(seeds)
        macs, training = cost(plan, alone)
        row["larger"] = {
            "recipe": alone.contestant,
            "accuracy": plain(accuracy(right, plan.question.level)),
            "macs": macs,
            "training_macs": training,
        }
        row["above_larger"] = _estimate(plan, mean_over(together) - right)
    return row


def cost(plan: Plan, table: Answers) -> tuple[int, int]:
    """Return the multiply-accumulates of a model for one image, and of training all of it: three times as many for each image
    that its first seed saw, since the backward pass takes two products for each of the forward pass."""
    macs = plan.variant(table.contestant, table.value).macs
    run, samples = table.runs[0], table.runs[0].manifest["samples"]["train"]
    seen = round((run.summary or {}).get("steps", 0) * samples / -(-samples // table.batch_size))
    return macs, 3 * macs * seen


def _estimate(plan: Plan, values: NDArray[Any]) -> Row:
    return {**plain(interval(values, plan.question.level)), "p": None}


def together_right(a: Answers, b: Answers, seeds: Sequence[int]) -> Right:
    """Return which samples `(seeds, items)` the mean probabilities of both models of each seed answer right."""
    return np.stack([_of_seed(a, b, seed) for seed in seeds])


def _of_seed(a: Answers, b: Answers, seed: int) -> Right:
    first, second = (table.saved[table.seeds.index(seed)].predictions for table in (a, b))
    parts = []
    for (labels, logits), (_, others) in zip(first.blocks(), second.blocks(), strict=True):
        parts.append(np.logaddexp(log_softmax(logits), log_softmax(others)).argmax(axis=1) == labels)
    return np.concatenate(parts)


def _better(a: Answers, b: Answers, seeds: Sequence[int]) -> Right:
    """Return the answers of the member that is better on validation, seed by seed: test does not choose."""
    return np.stack([max((a, b), key=lambda table: _validation(table, seed)).right_of(seed) for seed in seeds])


def _validation(table: Answers, seed: int) -> float:
    summary = table.runs[table.seeds.index(seed)].summary or {}
    return float((summary.get("validation") or {}).get("accuracy", 0.0))
