"""How recipes bear corruptions of the test images, on samples that are the same for all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.comparison.answers import Answers
from zoo.comparison.crossed import interval
from zoo.comparison.plan import Plan
from zoo.comparison.verdicts import plain
from zoo.evaluation.corruptions import NOTE
from zoo.evaluation.predictions import Saved
from zoo.evaluation.robustness import predictions

Row = dict[str, Any]


def robustness(plan: Plan, tables: Sequence[Answers]) -> Row | None:
    """Return accuracy under corruptions, by recipe, corruption and severity, and the differences of every two recipes.

    A sample's figure is the share of corruptions and severities under which it is answered right. None where the plan has none.
    """
    if plan.question.corruptions is None or not tables:
        return None
    level, severities, limit = (
        plan.question.level,
        plan.question.corruptions.severities,
        plan.question.corruptions.limit,
    )
    answered = [(table, _right(table, severities, limit)) for table in tables]
    shares = {
        table.contestant: np.mean([right for levels in _corrupted(by).values() for right in levels.values()], axis=0)
        for table, by in answered
    }
    return {
        "note": NOTE,
        "samples": answered[0][1]["clean"][0].shape[1],
        "severities": list(severities),
        "recipes": [
            {
                "name": table.contestant,
                "clean": float(by["clean"][0].mean()),
                "corrupted": {**plain(interval(shares[table.contestant], level)), "p": None},
                "by": {
                    name: {str(severity): float(right.mean()) for severity, right in levels.items()}
                    for name, levels in _corrupted(by).items()
                },
            }
            for table, by in answered
        ],
        "pairs": [_difference(a, b, shares, level) for a, b in combinations(tables, 2) if set(a.seeds) & set(b.seeds)],
    }


def _right(table: Answers, severities: Sequence[int], limit: int | None) -> dict[str, dict[int, NDArray[np.bool_]]]:
    """Return which answers are right, `(seeds, samples)`, by corruption and severity."""
    paths = [predictions(run, severities, limit) for run in table.runs]
    return {
        name: {severity: np.stack([_of_file(of_run[name][severity]) for of_run in paths]) for severity in levels}
        for name, levels in paths[0].items()
    }


def _of_file(path: Any) -> NDArray[np.bool_]:
    rows = Saved.load(path).predictions
    right: NDArray[np.bool_] = rows.logits.argmax(axis=1) == rows.labels
    return right


def _corrupted(by: dict[str, dict[int, NDArray[np.bool_]]]) -> dict[str, dict[int, NDArray[np.bool_]]]:
    return {name: levels for name, levels in by.items() if name != "clean"}


def _difference(a: Answers, b: Answers, shares: dict[str, NDArray[np.float64]], level: float) -> Row:
    seeds = sorted(set(a.seeds) & set(b.seeds))
    first, second = (shares[table.contestant][[table.seeds.index(seed) for seed in seeds]] for table in (a, b))
    found = {**plain(interval(first - second, level)), "p": None}
    return {"a": a.contestant, "b": b.contestant, "difference": found}
