"""Greedy choices by the distance to the nearest centre, with distances computed only where they can matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zoo_acquisitions.distances import BLOCK, Points, squared

_FEW, _MANY = 64, 256  # candidates brought up to date at first; centres that a row is compared with at a time
_SWEEP = 128  # centres that a sweep of all rows is worth while for
_CHEAPER = 8  # how much less a distance costs in a sweep (see `distances`)


class Nearest:
    """The squared distance of each of n points to the nearest of a growing number of centres.

    A distance can only shrink when a centre is added, so what a point had from the first centres bounds what it has from all.
    The best point is one whose distance is up to date and above all bounds: only points with bounds above it are compared with
    the centres they have not met, and with many at a time. Once these comparisons have cost as much as one of all points would, all
    are compared, so that bounds stay close. The choices are those of updating all n after each centre (Gonzalez, 1985; lazy
    evaluation: Minoux, 1978). O(n b D) time and O(n) memory.
    """

    def __init__(self, points: Points, count: int, centres: Sequence[int]) -> None:
        """Begin with at least one centre, a position in `points`; one below `count` is taken and not chosen again."""
        device = points.norms.device
        self._points, self._centres = points, list(centres)
        self._bounds = points.norms.new_full((count,), torch.inf)
        self._swept = self._spent = 0
        self._met = torch.zeros(count, dtype=torch.int64, device=device)
        self._open = torch.ones(count, dtype=torch.bool, device=device)
        self._open[[centre for centre in centres if centre < count]] = False
        self._meet(torch.arange(count, device=device))
        self._swept, self._spent = len(self._centres), 0  # since the last sweep: distances of single points

    def choose(self, k: int, ties: Tensor, noise: Callable[[int], Tensor] | None = None) -> list[int]:
        """Return k points, each a centre from then on: again and again the farthest one.

        With noise, float `(n,)` for each draw, the one with the largest log of the squared distance + noise. Ties go to the
        lowest of `ties`, and so do the places left when all other points lie on centres.
        """
        chosen: list[int] = []
        ties = ties.to(self._bounds.device)
        while len(chosen) < k:
            best = self._best(ties, None if noise is None else noise(len(chosen)).to(ties.device))
            if best is None:
                break
            chosen.append(best)
            self._centres.append(best)
            self._open[best] = False
            self._sweep()
        rest = ties.where(self._open, torch.inf).argsort()[: k - len(chosen)]
        return [*chosen, *rest.tolist()]

    def _best(self, ties: Tensor, noise: Tensor | None) -> int | None:
        size = _FEW
        while True:
            keys = self._bounds if noise is None else self._bounds.log() + noise
            keys = keys.where(self._open, -torch.inf)
            top = keys.topk(min(size, len(keys)))
            if top.values[0] == -torch.inf or self._bounds[top.indices[0]] == 0:
                return None
            first = (keys == top.values[0]).nonzero()[:, 0]
            if not bool(self._behind(first).any()):
                return int(first[ties[first].argmin()])
            self._meet(top.indices[self._behind(top.indices)])
            size *= 2

    def _sweep(self) -> None:
        """Compare all points with the centres they have not met, where few were and too much was spent on single ones."""
        missed = len(self._centres) - self._swept
        if missed >= _SWEEP and self._spent * _CHEAPER >= len(self._met) * missed:
            self._meet(self._open.nonzero()[:, 0])
            self._swept, self._spent = len(self._centres), 0

    def _behind(self, rows: Tensor) -> Tensor:
        return self._met[rows] < len(self._centres)

    def _meet(self, rows: Tensor) -> None:
        """Compare rows with centres that they have not met; those that have missed about as many stand together."""
        missed = (len(self._centres) - self._met[rows]).double().log2().ceil()
        for many in missed.unique():
            together = rows[missed == many]
            start = int(self._met[together].min())
            stop = min(start + _MANY, len(self._centres))
            centres = torch.tensor(self._centres[start:stop], device=rows.device)
            self._spent += len(together) * len(centres)
            for part in together.split(BLOCK):
                distances = squared(self._points, part, centres).amin(dim=1)
                self._bounds[part] = torch.minimum(self._bounds[part], distances)
                self._met[part] = self._met[part].clamp_min(stop)
