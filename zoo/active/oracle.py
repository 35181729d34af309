"""Who answers: the labels of the data, with as many wrong ones as the recipe says, and "unknown" for what is of no known class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.active.material import UNKNOWN, Material, Rows
from zoo.errors import DataError
from zoo.training.randomness import uniform_ids

NOBODY = -1  # the class of what is of none


class Oracle:
    """Answers are a function of the seed and the sample's id: whoever asks gets the same, right or wrong."""

    def __init__(self, material: Material, *, seed: int, noise: float) -> None:
        self.classes = material.dataset.classes
        count = len(self.classes)
        draws = uniform_ids(seed, "label noise", 0, material.ids, 2).numpy()
        shift = 1 + (draws[:, 1] * (count - 1)).astype(np.int64)
        told = np.where(draws[:, 0] < noise, (material.labels + shift) % count, material.labels)
        self._told = np.where(material.known, told, NOBODY)

    def answers(self, rows: Rows) -> Rows:
        """Return the class of each of these rows of train, int64 `(n,)`, `NOBODY` for what is of no known class."""
        told: Rows = self._told[rows]
        return told

    def words(self, rows: Rows) -> list[str]:
        """Return the answers as class names, and "unknown"."""
        return [UNKNOWN if label == NOBODY else self.classes[label] for label in self.answers(rows).tolist()]


def initial(material: Material, count: int, how: str, seed: int) -> Rows:
    """Return the rows that are labelled before the first round, the same for all strategies of a seed: of known classes, `balanced`
    over them or `random`.

    Raises DataError where one class would have none.
    """
    order = np.argsort(uniform_ids(seed, "initial", 0, material.ids)[:, 0].numpy(), kind="stable")
    candidates = order[material.known[order]]
    classes = material.dataset.classes
    if count > len(candidates):
        raise DataError(f"{count} initial labels of {len(candidates)} samples", possible=f"1 … {len(candidates)}")
    chosen = candidates[:count] if how == "random" else _balanced(candidates, material.labels, count, len(classes))
    missing = set(range(len(classes))) - set(material.labels[chosen].tolist())
    if missing:
        names = ", ".join(repr(classes[label]) for label in sorted(missing))
        raise DataError(
            f"no initial label is of class {names}: a model that never saw a class does not answer with it",
            possible=f"{len(classes)} initial labels or more, as many of each class",
            hint="active.initial=balanced" if how == "random" else f"active.init={2 * len(classes)}",
        )
    return chosen


def _balanced(candidates: Rows, labels: Rows, count: int, classes: int) -> Rows:
    """Return so many candidates, class by class in turn, until there are enough."""
    rank = np.empty(len(candidates), np.int64)
    for label in range(classes):
        mine = labels[candidates] == label
        rank[mine] = np.arange(mine.sum())
    turns = np.lexsort((labels[candidates], rank))
    return candidates[turns[:count]]


def subset(material: Material, rows: Rows, count: int | None, *, seed: int, round: int) -> Rows:
    """Return rows to choose from in this round, whole groups of them until there are `count`: the same draws for all strategies."""
    if count is None or count >= len(rows):
        return rows
    groups = material.groups[rows]
    present, first = np.unique(groups, return_index=True)
    names = [material.group_names[row] for row in rows[first].tolist()]
    order = present[np.argsort(uniform_ids(seed, "pool subset", round, names)[:, 0].numpy(), kind="stable")]
    sizes = np.bincount(np.searchsorted(present, groups))[np.searchsorted(present, order)]
    needed = int(np.searchsorted(np.cumsum(sizes), count)) + 1
    return rows[np.isin(groups, order[:needed])]


def repeats(groups: Sequence[int]) -> float:
    """Return the share of these samples whose group is that of one before them."""
    return 1 - len(set(groups)) / len(groups)
