"""What two models answer together, within a family and across families, beside what each answers alone.

Members are trained apart; an ensemble's answer is the mean of their probabilities (Lakshminarayanan, Pritzel and Blundell,
"Simple and scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.comparison.answers import Answers
from zoo.comparison.crossed import differences, interval, mean_over
from zoo.comparison.plan import Contestant, Plan
from zoo.comparison.verdicts import plain
from zoo.evaluation.metrics import log_softmax

Row = dict[str, Any]
Right = NDArray[np.bool_]


def ensembles(plan: Plan, tables: Sequence[Answers]) -> list[Row]:
    """Return a row for every two families, one and itself included: the accuracy of the pairs of models from them.

    A pair has two different recipes of the same seed; `accuracy` and `gain`, over the better member of each pair on validation,
    are means over pairs with intervals over seeds and samples, the recipes taken as fixed. `macs` is the mean of the sums of both
    members' for one image. Families of one recipe have no pair within. `pairs` lists each.
    """
    contestants = {contestant.name: contestant for contestant in plan.contestants}
    seeds = sorted(set.intersection(*(set(table.seeds) for table in tables))) if tables else []
    members = {
        family: [table for table in tables if table.contestant in names] for family, names in plan.families.items()
    }
    if not seeds:
        return []
    kinds = ((a, b, list(_pairs(members[a], members[b], same=a == b))) for a, b in _kinds(members))
    return [_kind(plan, a, b, pairs, seeds, contestants) for a, b, pairs in kinds if pairs]


def _kinds(members: Mapping[str, Sequence[Answers]]) -> Iterator[tuple[str, str]]:
    return combinations_with_replacement([family for family, found in members.items() if found], 2)


def _pairs(ours: Sequence[Answers], theirs: Sequence[Answers], *, same: bool) -> Iterator[tuple[Answers, Answers]]:
    if same:
        yield from combinations(ours, 2)
    else:
        yield from ((a, b) for a in ours for b in theirs)


def _kind(
    plan: Plan,
    a: str,
    b: str,
    pairs: Sequence[tuple[Answers, Answers]],
    seeds: Sequence[int],
    contestants: Mapping[str, Contestant],
) -> Row:
    together = [together_right(first, second, seeds) for first, second in pairs]
    better = [_better(first, second, seeds) for first, second in pairs]
    level = plan.question.level
    gains = mean_over(differences(right, best) for right, best in zip(together, better, strict=True))
    costs = [contestants[first.contestant].macs + contestants[second.contestant].macs for first, second in pairs]
    return {
        "a": a,
        "b": b,
        "accuracy": {**plain(interval(mean_over(together), level)), "p": None},
        "gain": {**plain(interval(gains, level)), "p": None},
        "macs": sum(costs) / len(costs),
        "pairs": [
            {"members": [first.contestant, second.contestant], "accuracy": float(right.mean()), "macs": cost}
            for (first, second), right, cost in zip(pairs, together, costs, strict=True)
        ],
    }


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
