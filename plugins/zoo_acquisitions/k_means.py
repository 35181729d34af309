"""k-means over embeddings that are converted block by block, with seeds drawn by sample id."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.bases import Pool
from zoo.training.randomness import uniform_ids
from zoo_acquisitions.distances import BLOCK, Embeddings, gaps
from zoo_acquisitions.nearest import Nearest
from zoo_acquisitions.ordered import Gumbel, ties

_ITERATIONS = 30
_STARTS, _FEW = 5, 50  # of so many starts the best is kept where there are at most so many clusters
_ROWS, _PER_CLUSTER = (
    20_000,
    20,
)  # samples that the centres are fitted to: the larger of the first and the second times k


@dataclass(frozen=True)
class Clusters:
    """The centres `(k, D)`, float32, and int64 `(n,)` the nearest one of every point."""

    centres: Tensor
    labels: Tensor


def k_means(pool: Pool, points: Embeddings, k: int, strategy: str, weights: Tensor | None = None) -> Clusters:
    """Return k clusters of points, those of the pool and others after them; a cluster may end up empty.

    The seeds are drawn from the pool in proportion to weight × squared distance (k-means++: Arthur and Vassilvitskii, SODA
    2007); then come at most 30 iterations of Lloyd ("Least squares quantization in PCM", 1982), on points drawn by id, in
    proportion to weight, where there are more than 20,000 and more than 20 for each cluster. Of five starts the one with the
    smallest sum of weighted squares is kept, for more than 50 clusters there is one. `weights` are not negative, `(n,)` for the
    pool. Cost O(n k D) beyond the iterations' O(max(20,000, 20 k) k D) each.
    """
    rows, every = _fitted(pool, points, k, strategy, weights)
    starts = [_seeds(pool, points, k, f"{strategy}/start {i}", weights) for i in range(_STARTS if k <= _FEW else 1)]
    fits = [lloyd(points, rows, points.take(torch.tensor(seeds, device=rows.device)), every) for seeds in starts]
    centres = min(fits, key=lambda fit: float(every[rows].double() @ _nearest(points, rows, fit)[0].double()))
    return Clusters(centres, _nearest(points, torch.arange(len(points), device=rows.device), centres)[1])


def lloyd(points: Embeddings, rows: Tensor, centres: Tensor, weights: Tensor) -> Tensor:
    """Return the centres moved to the weighted means of the rows nearest to them until none changes sides."""
    labels = _nearest(points, rows, centres)[1]
    for _ in range(_ITERATIONS):
        centres = _means(points, rows, labels, centres, weights)
        before, labels = labels, _nearest(points, rows, centres)[1]
        if torch.equal(before, labels):
            break
    return centres


def _seeds(pool: Pool, points: Embeddings, k: int, strategy: str, weights: Tensor | None) -> list[int]:
    gumbel, drawn = Gumbel(pool, f"{strategy}/seeds"), ties(pool, strategy)
    log_weights = torch.zeros(len(pool), dtype=torch.float64) if weights is None else weights.double().cpu().log()
    first = int((gumbel(0) + log_weights).argmax())
    nearest = Nearest(points, len(pool), [first])
    return [first, *nearest.choose(k - 1, drawn, lambda draw: gumbel(draw + 1) + log_weights)]


def _fitted(pool: Pool, points: Embeddings, k: int, strategy: str, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the positions that the centres are fitted to, some of the pool and all points after it, and the weights `(n,)`."""
    own, count = torch.arange(len(points), device=points.norms.device), max(_ROWS, _PER_CLUSTER * k)
    every = torch.ones(len(points), device=own.device)
    if weights is not None:
        every[: len(pool)] = weights.to(every)
    if len(pool) <= count:
        return own, every
    if weights is None:
        some = uniform_ids(pool.seed, f"{strategy}/fitted", pool.round, pool.ids)[:, 0].argsort()[:count]
    else:
        some, instead = _drawn(Gumbel(pool, f"{strategy}/fitted")(0), weights.double().cpu(), count)
        every[some.to(own.device)] = instead.to(every)
    return torch.cat([some.sort().values.to(own.device), own[len(pool) :]]), every


def _drawn(noise: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return rows drawn without replacement in proportion to their weights, and weights for them that stand for all of them.

    The `count` largest ln w + noise are drawn. Given the next of these keys, κ, a row is with a chance of 1 - exp(-w exp(-κ)), by
    which its weight is divided, so that weighted sums are right on average (Cohen and Kaplan, "Summarizing data using bottom-k
    sketches", PODC 2007): weights as they are would count twice, in the draw and in the sums.
    """
    top = (weights.log() + noise).topk(count + 1)
    some = top.indices[:-1]
    own = weights[some]
    chances = -(-own * torch.exp(-top.values[-1])).expm1()
    return some, torch.where(own > 0, own / chances, 0)


def _nearest(points: Embeddings, rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distance of each row to its nearest centre, and which that is."""
    norms = centres.square().sum(dim=1)
    found = [gaps(points.norms[p], norms, points.take(p) @ centres.T).min(dim=1) for p in rows.split(BLOCK)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _means(points: Embeddings, rows: Tensor, labels: Tensor, centres: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted means of the rows by label; a centre without weight stays where it is."""
    sums, total = torch.zeros_like(centres, dtype=torch.float64), centres.new_zeros(len(centres), dtype=torch.float64)
    for part, label in zip(rows.split(BLOCK), labels.split(BLOCK), strict=True):
        own = weights[part].double()
        sums.index_add_(0, label, own[:, None] * points.take(part))
        total.index_add_(0, label, own)
    return torch.where(total[:, None] > 0, sums / total[:, None], centres.double()).to(centres.dtype)
