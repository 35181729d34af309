"""Samples spread over the clusters of the embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from scipy.cluster import hierarchy
from torch import Tensor

from zoo.active.selection import select
from zoo.bases import BatchStrategy, Pool
from zoo.components import NoParams
from zoo.training.randomness import uniform_ids
from zoo_acquisitions.distances import BLOCK, Embeddings, gaps, squared
from zoo_acquisitions.k_means import Clusters, k_means
from zoo_acquisitions.ordered import OrderedStrategy, ties
from zoo_acquisitions.specs.diversity import Clue as ClueParams
from zoo_acquisitions.specs.diversity import ClusterMargin as ClusterMarginParams
from zoo_acquisitions.uncertainty import Margin, margins_of

_MOST_CLUSTERS, _SMALL, _NEIGHBOURS = 500, 5, 20  # as in the authors' experiments with TypiClust, where 5 is too small
_DISTANCES = 1 << 24  # of centres from all samples, that are held at once


class ClusterMargin(OrderedStrategy):
    """The samples of smallest margin, spread over their clusters.

    The `candidates` · b samples of smallest margin are clustered by average linkage of their embeddings' Euclidean distances,
    cut where the clusters hold `cluster_size` of them on average; then each cluster in turn, from the smallest up, gives one
    sample drawn from it. Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh and Kumar, "Batch active learning at
    scale", NeurIPS 2021, cluster the whole pool once; here the first `limit` candidates of each round are, and those after
    them join the cluster of the nearest. Cost O(n C + c² D) for c candidates up to the limit, O(c² D + r c D) with r beyond it;
    O(c²) memory, c at most the limit.
    """

    def __init__(self, params: ClusterMarginParams) -> None:
        self._params = params

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the order of the rounds over the clusters."""
        unsure = select(Margin(), margins_of(pool), min(len(pool), k * self._params.candidates))
        looked_at = pool.taken(torch.tensor(unsure), frozenset({"embeddings"}))
        labels = dict(zip(unsure, self._clusters(Embeddings(looked_at.embeddings)), strict=True))
        drawn = uniform_ids(pool.seed, "cluster-margin/order", pool.round, pool.ids)[:, 0]
        members: dict[int, list[int]] = {}
        for position in sorted(unsure, key=drawn.tolist().__getitem__):
            members.setdefault(labels[position], []).append(position)
        smallest_first = sorted(members.values(), key=len)  # clusters of a size stay in the order of their first draws
        return list(islice(in_turn(smallest_first), k))

    def _clusters(self, points: Embeddings) -> list[int]:
        unsure = torch.arange(len(points), device=points.norms.device)
        core = unsure[: self._params.limit]
        labels = _average_linkage(points, core, self._params.cluster_size).to(core.device)
        nearest = [squared(points, part, core).argmin(dim=1) for part in unsure[len(core) :].split(BLOCK)]
        return torch.cat([labels, *(labels[each] for each in nearest)]).tolist()


def _average_linkage(points: Embeddings, rows: Tensor, size: int) -> Tensor:
    """Return a cluster's number for each of the rows."""
    if len(rows) < 2:
        return torch.ones(len(rows), dtype=torch.int64)
    distances = squared(points, rows, rows).sqrt()
    above = torch.triu_indices(len(rows), len(rows), offset=1, device=rows.device)
    tree = hierarchy.linkage(distances[above[0], above[1]].double().cpu().numpy(), method="average")
    return torch.from_numpy(hierarchy.fcluster(tree, -(-len(rows) // size), criterion="maxclust")).long()


class TypiClust(OrderedStrategy):
    """The most typical sample of each of the largest clusters in which nothing has a label.

    k-means makes min(m + b, 500) clusters of the m labelled samples and the pool; clusters take turns, those with the fewest
    labels first, then the largest, and those of five samples or fewer, labelled ones among them, last. The typicality of a sample
    is the inverse of its mean distance to its 20 nearest neighbours among the unlabelled of its cluster. All embeddings are brought
    to length 1 first, as the authors' are; a vector of zeros stays one. Hacohen, Dekel and Weinshall, "Active learning on a
    budget: opposite strategies suit high and low budgets", ICML 2022. Meant for self-supervised or pretrained embeddings, and for
    the first labels: embeddings of a net that was trained on a handful are not typical of anything.
    Cost O(n K D) for each pass of k-means with K clusters, and O(s² D) for each cluster of s that is asked.
    """

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the order of the turns."""
        points = Embeddings(pool.embeddings, pool.labeled.embeddings, unit=True)
        count = min(len(points) - len(pool) + k, _MOST_CLUSTERS, len(pool))
        labels = k_means(pool, points, count, "typiclust").labels
        drawn = ties(pool, "typiclust").to(labels.device)
        order = _by_need(labels, len(pool), count)
        members = ((labels[: len(pool)] == cluster).nonzero()[:, 0] for cluster in order)
        return list(islice(in_turn(_by_typicality(points, each, drawn) for each in members), k))


def _by_need(labels: Tensor, own: int, count: int) -> list[int]:
    """Return the clusters in which an unlabelled sample lies, in the order in which they are asked."""
    sizes, left, covered = (
        torch.bincount(part, minlength=count).tolist() for part in (labels, labels[:own], labels[own:])
    )
    found = [cluster for cluster in range(count) if left[cluster]]
    return sorted(found, key=lambda cluster: (sizes[cluster] <= _SMALL, covered[cluster], -sizes[cluster]))


def _by_typicality(points: Embeddings, members: Tensor, drawn: Tensor) -> Iterator[int]:
    """Yield the members, the most typical first; nothing is computed before the first is asked for."""
    members = members[drawn[members].argsort()]
    distances = torch.cat([_mean_distance(points, part, members) for part in members.split(BLOCK)])
    yield from members[distances.argsort(stable=True)].tolist()


def _mean_distance(points: Embeddings, rows: Tensor, members: Tensor) -> Tensor:
    """Return the mean distance `(r,)` of the rows to their 20 nearest other members, or to all where there are fewer."""
    count = min(_NEIGHBOURS, len(members) - 1)
    nearest = points.norms.new_full((len(rows), count), torch.inf)
    for part in members.split(4 * BLOCK):
        found = squared(points, rows, part).masked_fill_(rows[:, None] == part, torch.inf)
        nearest = torch.cat([nearest, found], dim=1).topk(count, largest=False).values
    return nearest.sqrt().sum(dim=1) / max(count, 1)


class Clue(OrderedStrategy):
    """The sample nearest to each centre of b clusters, in which samples weigh as much as they are uncertain.

    k-means minimises sum_i H_i ||h_i - c(i)||², H the entropy of softmax(z / T). Prabhu, Chandrasekaran, Saenko and Hoffman,
    "Active domain adaptation via clustering uncertainty-weighted embeddings", ICCV 2021. Clusters come in the order of their
    weight; a sample that is nearest to two centres gives way to the next at the second. Cost O(n b D) for each pass of k-means.
    """

    def __init__(self, params: ClueParams) -> None:
        self._temperature = params.temperature

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions, those of the heaviest clusters first."""
        points, weights = Embeddings(pool.embeddings), self._weights(pool)
        clusters = k_means(pool, points, k, "clue", weights)
        total = torch.zeros(k, dtype=weights.dtype, device=weights.device).index_add_(0, clusters.labels, weights)
        heaviest = Clusters(clusters.centres[total.argsort(descending=True, stable=True)], clusters.labels)
        return _nearest_to(points, heaviest.centres, ties(pool, "clue"))

    def _weights(self, pool: Pool) -> Tensor:
        """Return the entropies, float64 `(n,)`; ones where all samples are certain."""
        parts = [(block.log_probabilities.double() / self._temperature).softmax(dim=1) for block in pool.blocks(BLOCK)]
        entropies = torch.cat([torch.special.entr(part).sum(dim=1) for part in parts])
        return entropies if bool((entropies > 0).any()) else torch.ones_like(entropies)


def _nearest_to(points: Embeddings, centres: Tensor, drawn: Tensor) -> list[int]:
    """Return a point for each centre, the nearest one that is not taken by a centre before it."""
    chosen: list[int] = []
    drawn = drawn.to(centres.device)
    taken = torch.zeros(len(points), dtype=torch.bool, device=centres.device)
    for some in centres.split(max(1, _DISTANCES // max(1, len(points)))):
        norms = some.square().sum(dim=1)
        blocks = [gaps(norms, points.norms[rows], some @ points.take(rows).T) for rows in points.blocks()]
        for distances in torch.cat(blocks, dim=1):
            distances.masked_fill_(taken, torch.inf)
            first = (distances == distances.min()).nonzero()[:, 0]
            chosen.append(int(first[drawn[first].argmin()]))
            taken[chosen[-1]] = True
    return chosen


def in_turn(groups: Iterable[Iterable[int]]) -> Iterator[int]:
    """Yield an element of each group in turn, again and again, passing over those that have none left."""
    left = [iter(group) for group in groups]
    while left:
        still: list[Iterator[int]] = []
        for group in left:
            for element in islice(group, 1):
                still.append(group)
                yield element
        left = still


def build_cluster_margin(params: ClusterMarginParams) -> BatchStrategy:
    """Return the strategy."""
    return ClusterMargin(params)


def build_typiclust(params: NoParams) -> BatchStrategy:
    """Return the strategy."""
    return TypiClust()


def build_clue(params: ClueParams) -> BatchStrategy:
    """Return the strategy."""
    return Clue(params)
