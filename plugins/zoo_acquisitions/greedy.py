"""The greedy choice of a set, without looking twice where nothing can have changed for the better."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

_TIE = 1e-12  # gains closer than this differ by the rounding of sums, which depends on positions
_FIRST_LOOK = 64  # gains computed before the best of them may end the search; each further look is at 4 times as many


class Objective(Protocol):
    """A function of sets whose gains never rise as the set grows."""

    @property
    def rows(self) -> int:
        """How many gains may be computed at once."""

    def gains(self, positions: Tensor) -> Tensor:
        """Return float64 `(m,)`, what each of these positions would add to the set; finite."""

    def add(self, position: int) -> None:
        """Put a position into the set."""


def lazily(objective: Objective, ties: Tensor, k: int, first: Tensor | None = None) -> list[int]:
    """Return k positions, each of the highest gain beside those before it; ties go to the lowest of `ties` `(n,)`.

    A position whose last gain is below the best of the newest ones is not looked at again (Minoux, "Accelerated greedy
    algorithms for maximizing submodular set functions", 1978). O(n) for each choice, beside the gains. `first`, float64 `(n,)`,
    are the gains beside nothing where they are known as scores are, which do not depend on positions: of these only equal ones
    tie.
    """
    bounds = torch.full((len(ties),), math.inf, dtype=torch.float64) if first is None else first.clone()
    chosen: list[int] = []
    for _ in range(k):
        known = first is not None and not chosen
        highest = float(bounds.max()) if known else _renew(bounds, objective)
        level = (bounds >= highest - (0 if known else _TIE)).nonzero()[:, 0]
        chosen.append(int(level[ties[level].argmin()]))
        bounds[chosen[-1]] = -math.inf
        objective.add(chosen[-1])
    return chosen


def _renew(bounds: Tensor, objective: Objective) -> float:
    """Compute gains anew, from the highest bound down, until no other can be the best; return the best."""
    stale, highest, look = bounds.clone(), -math.inf, _FIRST_LOOK
    while True:
        top = stale.topk(min(look, objective.rows, len(stale)))
        positions = top.indices[top.values >= max(highest - _TIE, torch.finfo(stale.dtype).min)]
        if not len(positions):
            return highest
        bounds[positions] = objective.gains(positions).cpu()
        stale[positions] = -math.inf
        highest, look = max(highest, float(bounds[positions].max())), 4 * look
