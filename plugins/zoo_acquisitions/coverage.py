"""Samples whose neighbourhoods cover the pool."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bases import BatchStrategy, Pool
from zoo.training.randomness import uniform_ids
from zoo_acquisitions.distances import BLOCK, Embeddings, rounding, squared
from zoo_acquisitions.k_means import k_means
from zoo_acquisitions.ordered import OrderedStrategy, ties
from zoo_acquisitions.specs.diversity import ProbCover as ProbCoverParams

_JUDGED = 2000  # samples whose neighbourhoods the automatic radius is judged by


class ProbCover(OrderedStrategy):
    """Greedy maximum coverage by balls: again and again the sample with the most uncovered ones nearer than a radius to it.

    What is nearer than the radius to a labelled or chosen sample is covered. Yehuda, Dekel, Hacohen and Weinshall, "Active
    learning through a covering lens", NeurIPS 2022. All embeddings are brought to length 1 first, as the authors' are, and a
    vector of zeros stays one: the distance of two at an angle α is 2 sin(α / 2), and a radius above 2 covers all. `radius: auto`
    is the largest at which a share `purity` of the balls is pure: no sample in it is of another cluster than its centre's, of as
    many clusters by k-means as there are classes; it is judged by 2,000 samples drawn by id. Once all are covered, the rest is
    drawn at random. Meant for self-supervised or pretrained embeddings, and for the first labels: embeddings of a net that was
    trained on a handful do not group by class.
    No graph of neighbours is kept: the uncovered neighbours of all samples are counted once, in O(n² D), and what a choice
    covers is taken off the counts of its neighbours, O(n D) for each sample that is covered; O(n) memory.
    """

    def __init__(self, params: ProbCoverParams) -> None:
        self._params = params

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the order in which they were chosen."""
        points, drawn = Embeddings(pool.embeddings, pool.labeled.embeddings, unit=True), ties(pool, "probcover")
        radius = self._params.radius
        if radius == "auto":
            radius = _pure_radius(pool, points, self._params.purity)
        balls = _Balls(points, len(pool), radius)
        chosen: list[int] = []
        while len(chosen) < k and (best := balls.fullest(drawn)) is not None:
            if balls.cover(best):
                chosen.append(best)
        drawn[chosen] = torch.inf
        return [*chosen, *drawn.argsort()[: k - len(chosen)].tolist()]


class _Balls:
    """How many uncovered samples lie in the ball around each of the first n points; those after them are centres already."""

    def __init__(self, points: Embeddings, count: int, radius: float) -> None:
        self._points, self._radius = points, radius
        every = torch.arange(len(points), device=points.norms.device)
        self._own, labelled = every[:count], every[count:]
        self._counts = torch.zeros(count, dtype=torch.int64, device=every.device)
        self._uncovered = self._within(labelled) == 0
        self._counts += self._within(self._own[self._uncovered])

    def fullest(self, drawn: Tensor) -> int | None:
        """Return the centre of the ball with the most uncovered samples, or None where none has any."""
        most = self._counts.max()
        if most <= 0:
            return None
        found = (self._counts == most).nonzero()[:, 0]
        return int(found[drawn.to(found.device)[found].argmin()])

    def cover(self, centre: int) -> bool:
        """Cover what lies in a ball, in which nothing uncovered is left then, and return whether there was anything.

        A distance as long as the radius to within rounding may count in one product and not in the next: counts can be off by
        such samples.
        """
        inside = self._within(torch.tensor([centre], device=self._own.device)) > 0
        fresh = self._own[inside & self._uncovered]
        self._counts -= self._within(fresh)
        self._counts[centre] = 0
        self._uncovered &= ~inside
        return len(fresh) > 0

    def _within(self, others: Tensor) -> Tensor:
        """Return int64 `(n,)`: how many of the others are nearer to each sample than the radius."""
        found = torch.zeros_like(self._counts)
        for rows in self._own.split(BLOCK):
            for some in others.split(BLOCK):
                found[rows] += (squared(self._points, rows, some) < self._radius**2).sum(dim=1)
        return found


def _pure_radius(pool: Pool, points: Embeddings, purity: float) -> float:
    """Return the largest radius at which that share of the balls around samples is pure."""
    classes = len(pool.labeled.class_counts)
    labels = k_means(pool, points, min(classes, len(pool)), "probcover").labels[: len(pool)]
    judged = (
        uniform_ids(pool.seed, "probcover/judged", pool.round, pool.ids)[:, 0].argsort()[:_JUDGED].to(labels.device)
    )
    nearest = points.norms.new_full((len(judged),), torch.inf)
    for rows in torch.arange(len(pool), device=labels.device).split(BLOCK):
        other = labels[judged][:, None] != labels[rows]
        distances = squared(points, judged, rows) - rounding(points.norms[judged][:, None] + points.norms[rows])
        nearest = torch.minimum(nearest, distances.masked_fill_(~other, torch.inf).amin(dim=1))
    # A ball is open: it is pure as long as the radius is at most the distance to the nearest of another cluster, which is
    # outside of it also where another product rounds it down.
    impure = len(judged) - math.ceil(purity * len(judged) - 1e-9)
    return float(nearest.sort().values[impure].clamp_min(0).sqrt())


def build_probcover(params: ProbCoverParams) -> BatchStrategy:
    """Return the strategy."""
    return ProbCover(params)
