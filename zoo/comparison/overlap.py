"""Whose errors coincide: between recipes, and between families, with test samples that only one family gets right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.comparison.answers import Answers
from zoo.comparison.plan import Plan

EXAMPLES = 12  # samples that are named for each family


def overlap(plan: Plan, tables: Sequence[Answers]) -> dict[str, Any]:
    """Return `recipes`, `errors` (how far the errors of two recipes coincide) and, for every two families, `families`."""
    members = [
        (family, [table for table in tables if table.contestant in names]) for family, names in plan.families.items()
    ]
    present = [(family, found) for family, found in members if found]
    return {
        "recipes": [table.contestant for table in tables],
        "errors": [[shared_errors(a, b) for b in tables] for a in tables],
        "families": [_families(a, b) for a, b in combinations(present, 2)],
    }


def shared_errors(a: Answers, b: Answers) -> float | None:
    """Return the share of test samples that two models get wrong among those that either does: their Jaccard index.

    The mean over pairs of runs, of different seeds where `a` is `b`; None where there is no such pair. A pair without any error
    counts as 1.
    """
    wrong, others = (~a.right).astype(np.float32), (~b.right).astype(np.float32)
    both = wrong @ others.T
    either = wrong.sum(1)[:, None] + others.sum(1)[None] - both
    index = np.where(either > 0, both / np.maximum(either, 1), 1.0)
    if a is b:
        index = index[~np.eye(len(index), dtype=bool)]
    return float(index.mean()) if index.size else None


def _families(a: tuple[str, list[Answers]], b: tuple[str, list[Answers]]) -> dict[str, Any]:
    (first, ours), (second, theirs) = a, b
    share, other = _share_right(ours), _share_right(theirs)
    right, otherwise = share > 0.5, other > 0.5  # by most of the family's models
    return {
        "a": first,
        "b": second,
        "both": int((right & otherwise).sum()),
        "only_a": int((right & ~otherwise).sum()),
        "only_b": int((~right & otherwise).sum()),
        "neither": int((~right & ~otherwise).sum()),
        "examples_a": _examples(share - other, right & ~otherwise, ours, theirs),
        "examples_b": _examples(other - share, ~right & otherwise, theirs, ours),
    }


def _share_right(tables: Sequence[Answers]) -> NDArray[np.float64]:
    """Return, for each sample, the share of right answers, all recipes counting alike."""
    shares: NDArray[np.float64] = np.mean([table.right.mean(axis=0) for table in tables], axis=0)
    return shares


def _examples(
    lead: NDArray[np.float64], among: NDArray[np.bool_], right: Sequence[Answers], wrong: Sequence[Answers]
) -> list[dict[str, Any]]:
    """Return the samples that one family gets right by the widest lead, and what the other mostly takes them for."""
    candidates = np.flatnonzero(among)
    chosen = candidates[np.argsort(-lead[candidates], kind="stable")][:EXAMPLES]
    first = right[0]
    rows = []
    for index in chosen.tolist():
        label = int(first.labels[index])
        guesses = np.concatenate([table.guesses[:, index] for table in wrong])
        mistaken = np.bincount(guesses[guesses != label]).argmax()
        rows.append(
            {
                "sample": int(first.saved[0].predictions.samples[index]),
                "id": first.ids[index].decode(),
                "class": first.classes[label],
                "taken_for": first.classes[mistaken],
                "lead": float(lead[index]),
            }
        )
    return rows
