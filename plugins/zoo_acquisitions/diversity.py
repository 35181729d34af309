"""Samples far from one another and from those that have labels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from zoo.bases import BatchStrategy, Pool
from zoo.components import NoParams
from zoo_acquisitions.distances import Embeddings
from zoo_acquisitions.distributions import gathered
from zoo_acquisitions.nearest import Nearest
from zoo_acquisitions.ordered import OrderedStrategy, ties


class KCenter(OrderedStrategy):
    """Farthest-first choice: again and again argmax_i min_{j labelled or chosen} ||h_i - h_j||² over the pool.

    The greedy algorithm of Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science
    1985, whose largest distance of a sample to its nearest centre is at most twice the least possible; as an acquisition
    strategy by Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR 2018. Where
    nothing has a label, the first is the sample farthest from the mean. Cost O(n (m + b) D) time at worst for m labelled
    samples, and O(n) memory.
    """

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the order in which they were chosen."""
        labelled = pool.labeled.embeddings
        points, drawn = Embeddings(pool.embeddings, labelled), ties(pool, "k-center")
        if len(labelled):
            centres = range(len(pool), len(points))
            return Nearest(points, len(pool), centres).choose(k, drawn)
        first = _outermost(points, drawn)
        return [first, *Nearest(points, len(pool), [first]).choose(k - 1, drawn)]


def _outermost(points: Embeddings, drawn: Tensor) -> int:
    """Return the point farthest from the mean; of several, the one with the lowest draw."""
    mean = sum(points.take(rows).double().sum(dim=0) for rows in points.blocks()) / len(points)
    distances = gathered(((points.take(rows) - mean).square().sum(dim=1) for rows in points.blocks()), len(points))
    farthest = (distances == distances.max()).nonzero()[:, 0]
    return int(farthest[drawn.to(farthest.device)[farthest].argmin()])


def build_k_center(params: NoParams) -> BatchStrategy:
    """Return the strategy."""
    return KCenter()
