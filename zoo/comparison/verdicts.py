"""What a comparison may say: differences of recipes and of families with their intervals, and sentences on what was declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from zoo.comparison import families as architectures
from zoo.comparison import paired, sentences
from zoo.comparison.answers import Answers
from zoo.comparison.crossed import Estimate, detectable, differences, equivalence, interval, mean_over
from zoo.comparison.plan import Plan
from zoo.comparison.question import Expectation
from zoo.errors import StatisticsError
from zoo.evaluation.predictions import Saved

Row = dict[str, Any]
ALPHA, POWER = 0.05, 0.8


def plain(result: Any) -> Row:
    """Return a result of the statistics as a mapping."""
    row: Row = asdict(result)
    if isinstance(result, Estimate):
        row["covers_seeds"] = result.covers_seeds
    return row


def pairs(plan: Plan, tables: Sequence[Answers]) -> list[Row]:
    """Return the comparison of every two recipes on the seeds that they share; p-values only of the declared ones."""
    return [_pair(plan, a, b) for a, b in combinations(tables, 2) if set(a.seeds) & set(b.seeds)]


def _pair(plan: Plan, a: Answers, b: Answers) -> Row:
    seeds = sorted(set(a.seeds) & set(b.seeds))
    right, other = a.right_on(seeds), b.right_on(seeds)
    found = interval(differences(right, other), plan.question.level)
    primary = {(a.contestant, b.contestant), (b.contestant, a.contestant)} & set(plan.primary)
    losses = a.losses_on(seeds) - b.losses_on(seeds)
    alpha = ALPHA / plan.comparisons if primary else ALPHA
    return {
        "a": a.contestant,
        "b": b.contestant,
        "primary": bool(primary),
        "seeds": seeds,
        "difference": {**plain(found), "p": found.p if primary else None},
        "equivalence": plain(equivalence(found, plan.question.margin, alpha)),
        "detectable": detectable(found, alpha, POWER),
        "loss": {**plain(interval(losses, plan.question.level)), "p": None},
        "improvement": architectures.probability_of_improvement(right.mean(axis=1), other.mean(axis=1)),
        "sign_flip": _sign_flip(right.mean(axis=1) - other.mean(axis=1)) if primary else None,
        "mcnemar": [
            {"seed": seed, **plain(paired.mcnemar(*answers))}
            for seed, *answers in zip(seeds, right, other, strict=True)
        ],
    }


def _sign_flip(figures: Any) -> Row:
    try:
        return plain(paired.sign_flip(figures))
    except StatisticsError as error:
        return {"missing": f"{error.problem}; {error.hint}"}


def families(plan: Plan, tables: Sequence[Answers]) -> list[Row]:
    """Return the comparison of every two families that have finished runs."""
    members = {
        family: [table for table in tables if table.contestant in names] for family, names in plan.families.items()
    }
    present = {family: found for family, found in members.items() if found}
    return [_two_families(plan, a, present[a], b, present[b]) for a, b in combinations(present, 2)]


def _two_families(plan: Plan, a: str, ours: Sequence[Answers], b: str, theirs: Sequence[Answers]) -> Row:
    means = [[float(table.right.mean()) for table in tables] for tables in (ours, theirs)]
    strength = architectures.strength(len(ours), len(theirs), (a, b))
    primary = bool({(a, b), (b, a)} & set(plan.primary))
    several = min(len(ours), len(theirs)) > 1
    return {
        "a": a,
        "b": b,
        "primary": primary,
        "claim": strength.claim,
        "missing": list(strength.missing),
        "members_a": [table.contestant for table in ours],
        "members_b": [table.contestant for table in theirs],
        "means_a": means[0],
        "means_b": means[1],
        "interquartile_means": [architectures.interquartile_mean(_scores(tables)) for tables in (ours, theirs)],
        "these": _these(plan, ours, theirs, primary),
        "welch": _welch(plan, means) if several else None,
        "permutation": plain(architectures.permutation(means[0], means[1])) if several and primary else None,
    }


def _scores(tables: Sequence[Answers]) -> Any:
    return np.concatenate([table.right.mean(axis=1) for table in tables])


def _welch(plan: Plan, means: Sequence[Sequence[float]]) -> Row | None:
    """Return the interval of the families' difference, None where no family varies; p is the permutation's affair."""
    if all(len(set(family)) == 1 for family in means):
        return None
    return {**plain(architectures.welch(means[0], means[1], plan.question.level)), "p": None}


def _these(plan: Plan, ours: Sequence[Answers], theirs: Sequence[Answers], primary: bool) -> Row | None:
    """Return the difference of the two means over architectures, which are taken as fixed, on the seeds that all share."""
    seeds = sorted(set.intersection(*(set(table.seeds) for table in (*ours, *theirs))))
    if not seeds:
        return None
    first, second = (mean_over(table.right_on(seeds) for table in tables) for tables in (ours, theirs))
    found = interval(first - second, plan.question.level)
    alpha = ALPHA / plan.comparisons if primary else ALPHA
    return {
        **plain(found),
        "p": found.p if primary else None,
        "equivalence": plain(equivalence(found, plan.question.margin, alpha)),
        "detectable": detectable(found, alpha, POWER),
    }


def effects(plan: Plan, tables: Sequence[Answers]) -> list[Row]:
    """Return, for each recipe and value of the varied setting, its accuracy minus that at the first value."""
    by_cell = {(table.contestant, table.value): table for table in tables}
    first, *others = plan.values
    expected = {(each.recipe, each.value): each for each in plan.question.expect}
    rows = []
    for contestant in plan.contestants:
        before = by_cell.get((contestant.name, first))
        for value in others:
            after = by_cell.get((contestant.name, value))
            seeds = sorted(set(before.seeds) & set(after.seeds)) if before and after else []
            if before and after and seeds:
                found = interval(
                    differences(after.right_on(seeds), before.right_on(seeds)),
                    plan.question.level,
                )
                rows.append(
                    {
                        "recipe": contestant.name,
                        "family": contestant.family,
                        "value": value,
                        "against": first,
                        "difference": {**plain(found), "p": None},
                        "test_time_only": _test_time_only(plan, before, value, seeds),
                        "expected": _judged(found, expected.get((contestant.name, str(value)))),
                    }
                )
    return rows


def _test_time_only(plan: Plan, before: Answers, value: str | None, seeds: Sequence[int]) -> Row | None:
    """Return the effect on models that were trained at the first value and meet the other in the test alone."""
    if value not in plan.arrangements(before.value):
        return None
    runs = [before.runs[before.seeds.index(seed)] for seed in seeds]
    tables = [Saved.load(run.predictions(f"test-{value}")).predictions for run in runs]
    right = np.stack([table.logits.argmax(axis=1) == table.labels for table in tables])
    return {**plain(interval(differences(right, before.right_on(seeds)), plan.question.level)), "p": None}


def _judged(found: Estimate, expected: Expectation | None) -> Row | None:
    """Return what was declared of an effect and whether it came so: yes, no, or None where its interval allows both."""
    if expected is None:
        return None
    low, change, high, margin = found.low, found.estimate, found.high, expected.margin
    if expected.sign == "falls":
        low, change, high = -high, -change, -low
    if expected.sign == "equivalent":
        came, failed = equivalence(found, margin, ALPHA).equivalent, low > margin or high < -margin
    else:
        came, failed = change >= margin and low > 0, high < margin
    met = True if came else False if failed else None
    return {"sign": expected.sign, "margin": margin, "met": met, "came": sentences.CAME[met]}


def conclude(plan: Plan, conditions: Sequence[Row], effects: Sequence[Row]) -> list[Row]:
    """Correct the p-values of all declared comparisons by Holm, in place, and return what may be said of each.

    A row has `value`, `text`, and `about`: `pair`, `family`, `effect` or `note`.
    """
    declared: list[tuple[str | None, str, Row, float]] = []
    for condition in conditions:
        value = condition["value"]
        declared += [(value, "pair", row, row["difference"]["p"]) for row in condition["pairs"] if row["primary"]]
        declared += [(value, "family", row, _family_p(row)) for row in condition["families"] if row["primary"]]
    # What could not be compared counts among the comparisons all the same.
    absent = [1.0] * (plan.comparisons - len(declared))
    corrected = paired.holm([*(p for *_, p in declared), *absent])[: len(declared)] if declared else ()
    said = []
    for (value, about, row, _), p in zip(declared, corrected, strict=True):
        row["p_holm"] = p
        if row.get("permutation"):
            row["smallest_holm"] = min(1.0, plan.comparisons * row["permutation"]["smallest"])
        text = sentences.pair(row, plan.question.margin, ALPHA) if about == "pair" else sentences.family(row, ALPHA)
        said.append({"value": value, "about": about, "text": text})
    said += [
        {"value": row["value"], "about": "effect", "text": sentences.effect(row)} for row in effects if row["expected"]
    ]
    return said + [{"value": None, "about": "note", "text": note} for note in sentences.notes(plan, conditions)]


def _family_p(row: Row) -> float:
    """Return the p of a claim on families: of the permutation of architectures, or with them fixed where they are few."""
    if row["claim"] == "families":
        return float(row["permutation"]["p"])
    return float(row["these"]["p"]) if row["these"] else 1.0
