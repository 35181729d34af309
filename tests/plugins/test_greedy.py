from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo.training.randomness import uniform_ids
from zoo_acquisitions.greedy import lazily


class Coverage:
    """How many elements a union of sets covers; counts how many gains are computed."""

    def __init__(self, members: Tensor, rows: int) -> None:
        self.members, self.rows, self.looked_at = members.double(), rows, 0
        self.missing = torch.ones(members.shape[1], dtype=torch.float64)

    def gains(self, positions: Tensor) -> Tensor:
        self.looked_at += len(positions)
        return self.members[positions] @ self.missing

    def add(self, position: int) -> None:
        self.missing *= 1 - self.members[position]


def eagerly(objective: Coverage, ties: Tensor, k: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(k):
        gains = objective.gains(torch.arange(len(ties)))
        gains[chosen] = -1
        level = (gains == gains.max()).nonzero()[:, 0]
        chosen.append(int(level[ties[level].argmin()]))
        objective.add(chosen[-1])
    return chosen


def ties(n: int) -> Tensor:
    return uniform_ids(0, "test", 0, [str(i) for i in range(n)])[:, 0]


@pytest.mark.parametrize("rows", [1, 7, 60, 1000])
def test_the_lazy_choice_is_the_eager_one_ties_included(rows: int) -> None:
    members = torch.rand(60, 40, generator=torch.Generator().manual_seed(0)) < 0.1
    for k in (1, 5, 60):
        expected = eagerly(Coverage(members, rows), ties(60), k)
        assert lazily(Coverage(members, rows), ties(60), k) == expected


def test_where_gains_do_not_fall_few_are_looked_at_again() -> None:
    """Disjoint sets of 1, 2 … 40 elements: after one look at all, the best is among the next five."""
    sizes = torch.arange(1, 41)
    members = torch.eye(40).repeat_interleave(sizes, dim=1)
    lazy = Coverage(members, 5)
    assert lazily(lazy, ties(40), 10) == list(range(39, 29, -1))
    assert lazy.looked_at == 40 + 9 * 5


def test_first_gains_that_are_known_tie_only_where_they_are_equal() -> None:
    members = torch.rand(60, 40, generator=torch.Generator().manual_seed(0)) < 0.1
    known = members.double().sum(dim=1)
    expected = eagerly(Coverage(members, 7), ties(60), 9)
    assert lazily(Coverage(members, 7), ties(60), 9, known) == expected
    last = int(ties(60)[known == known.max()].argmax())
    best = (known == known.max()).nonzero()[:, 0][last]
    known[best] += 1e-13
    assert lazily(Coverage(members, 7), ties(60), 1, known) == [int(best)]


def test_gains_that_differ_by_rounding_only_are_ties() -> None:
    class Rounded(Coverage):
        def gains(self, positions: Tensor) -> Tensor:
            return 1 + positions.double() * 1e-15

    flat = torch.zeros(20, 1)
    assert lazily(Rounded(flat, 6), ties(20), 20) == ties(20).argsort().tolist()
