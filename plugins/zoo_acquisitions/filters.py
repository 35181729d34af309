"""Strategies around another: what it may choose from, and what of its choice is too much alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from zoo.active.pool import FIELDS
from zoo.active.selection import select
from zoo.bases import BatchStrategy, Pool, ScoreStrategy
from zoo.training.randomness import uniform_ids
from zoo_acquisitions.distances import BLOCK, Embeddings, squared
from zoo_acquisitions.ordered import OrderedStrategy, ties
from zoo_acquisitions.specs.filters import Distinct as DistinctParams
from zoo_acquisitions.specs.filters import Prefilter as PrefilterParams
from zoo_acquisitions.specs.filters import needs_of
from zoo_acquisitions.uncertainty import Margin, margins_of


class Prefilter(OrderedStrategy):
    """Lets a strategy choose from part of the pool, `keep` times as many samples as are asked for.

    `by: margin` keeps the smallest gaps between the two most probable classes, `random` any, `nearest` those at the smallest
    distance from a labelled one (Coleman, Chou, Katz-Samuels, Culatana, Bailis, Berg, Nowak, Sumbaly, Zaharia and Yalniz,
    "Similarity search for efficient active learning and search of rare concepts", AAAI 2022), or any where nothing has a
    label. Cost beside the strategy's: O(n C) for margins, O(n m D) for the distances from m labelled samples.
    """

    def __init__(self, params: PrefilterParams) -> None:
        self._inner, self._needs = params.strategy.build(), needs_of(params.strategy)
        self._keep, self._by = params.keep, params.by

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the strategy's order."""
        count = min(len(pool), self._keep * k)
        kept = sorted(_KEPT[self._by](pool, count))
        part = pool.taken(torch.tensor(kept), self._needs)
        return [kept[position] for position in select(self._inner, part, k)]


def _least_certain(pool: Pool, count: int) -> list[int]:
    return select(Margin(), margins_of(pool), count)


def _any(pool: Pool, count: int) -> list[int]:
    drawn = uniform_ids(pool.seed, "prefilter/random", pool.round, pool.ids)[:, 0]
    kept: list[int] = drawn.argsort()[:count].tolist()
    return kept


def _nearest(pool: Pool, count: int) -> list[int]:
    if not len(pool.labeled.embeddings):
        return _any(pool, count)
    points, drawn = Embeddings(pool.embeddings, pool.labeled.embeddings), ties(pool, "prefilter")
    own, labelled = torch.arange(len(points), device=points.norms.device).tensor_split([len(pool)])
    nearest = points.norms.new_full((len(pool),), torch.inf)
    for rows in own.split(BLOCK):
        for some in labelled.split(BLOCK):
            nearest[rows] = torch.minimum(nearest[rows], squared(points, rows, some).amin(dim=1))
    order = drawn.argsort()
    kept: list[int] = order[nearest.cpu()[order].argsort(stable=True)][:count].tolist()
    return kept


_KEPT: dict[str, Callable[[Pool, int], list[int]]] = {"margin": _least_certain, "random": _any, "nearest": _nearest}


class Distinct(OrderedStrategy):
    """Passes over what is too much like a labelled sample or one chosen before: cosine h_i·h_j / (||h_i|| ||h_j||) > threshold.

    Scores rank the whole pool once. A strategy that chooses a set is asked for k samples and, while fewer than k of them are
    distinct, for twice as many, of fields that are computed once more at most and then kept. Once all are ranked or asked for, the
    best of those passed over fill up. A vector of length 0 is like no other. Cost beside the strategy's: O(c (m + k) D) for c
    samples looked at and m labelled.
    """

    def __init__(self, params: DistinctParams) -> None:
        self._inner, self._needs = params.strategy.build(), needs_of(params.strategy)
        self._threshold = params.threshold

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the strategy's order, those that are alike after all others."""
        inner = pool.taken(torch.arange(len(pool)), self._needs)
        points = Embeddings(pool.embeddings, pool.labeled.embeddings)
        for ranked in self._rankings(inner, k):
            chosen = self._distinct(points, ranked, range(len(pool), len(points)), k)
            if len(chosen) == k:
                return chosen
        kept = set(chosen)
        passed = [position for position in ranked if position not in kept]
        return [*chosen, *passed[: k - len(chosen)]]

    def _rankings(self, pool: Pool, k: int) -> Iterator[list[int]]:
        """Yield what the strategy chooses, more and more of it, and the whole pool in the end."""
        asked = len(pool) if isinstance(self._inner, ScoreStrategy) else k
        yield select(self._inner, pool, asked)
        if asked < len(pool):
            for name in sorted(self._needs & FIELDS):
                getattr(pool, name)  # kept from here on, where each pass over blocks would compute it again
        while asked < len(pool):
            asked = min(2 * asked, len(pool))
            yield select(self._inner, pool, asked)

    def _distinct(self, points: Embeddings, ranked: Sequence[int], labelled: Sequence[int], k: int) -> list[int]:
        chosen: list[int] = []
        for rows in torch.tensor(ranked, device=points.norms.device).split(BLOCK):
            if len(chosen) == k:
                break
            alike = self._alike(points, rows, [*labelled, *chosen])
            among = _cosines(points, rows, rows) > self._threshold
            for row, position in enumerate(rows.tolist()):
                if not alike[row] and len(chosen) < k:
                    chosen.append(position)
                    alike |= among[row]
        return chosen

    def _alike(self, points: Embeddings, rows: Tensor, others: Sequence[int]) -> Tensor:
        """Return bool `(r,)`: whether each row is too much like one of the others."""
        alike = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        for some in torch.tensor(others, dtype=torch.int64, device=rows.device).split(BLOCK):
            alike |= (_cosines(points, rows, some) > self._threshold).any(dim=1)
        return alike


def _cosines(points: Embeddings, rows: Tensor, others: Tensor) -> Tensor:
    lengths = (points.norms[rows][:, None] * points.norms[others]).sqrt()
    return points.products(rows, others) / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)


def build_prefilter(params: PrefilterParams) -> BatchStrategy:
    """Return the strategy."""
    return Prefilter(params)


def build_distinct(params: DistinctParams) -> BatchStrategy:
    """Return the strategy."""
    return Distinct(params)
