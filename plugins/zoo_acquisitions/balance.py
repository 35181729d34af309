"""Batches that even out the classes (Bengar, van de Weijer, Fuentes and Raducanu, "Class-balanced active learning for image
classification", WACV 2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.active.selection import ties
from zoo.bases import BatchStrategy, Pool
from zoo_acquisitions.distributions import entropy, normalized, rows_within
from zoo_acquisitions.greedy import lazily
from zoo_acquisitions.specs.balance import ClassBalanced as Settings


class Balance:
    """The objective: entropies, and how many samples of lacking classes a batch is expected to bring."""

    def __init__(self, log_p: Tensor, lacking: Tensor, weight: float) -> None:
        self._log_p, self._lacking, self._weight = log_p, lacking.to(log_p.device), weight
        self._highest = math.log(max(2, log_p.shape[1]))

    @property
    def rows(self) -> int:
        """How many predictions fit into a bounded memory."""
        return rows_within(self._log_p.shape[1])

    def gains(self, positions: Tensor) -> Tensor:
        """Return the entropies as shares of the highest, plus `weight` times the expected samples of lacking classes."""
        log_p = self._predictions(positions)
        brought = torch.minimum(log_p.exp(), self._lacking).sum(dim=1)
        return entropy(log_p) / self._highest + self._weight * brought

    def add(self, position: int) -> None:
        """Count a sample in the classes that it is expected to be of."""
        p = self._predictions(torch.tensor([position]))[0].exp()
        self._lacking = (self._lacking - p).clamp(min=0)

    def _predictions(self, positions: Tensor) -> Tensor:
        return normalized(self._log_p[positions.to(self._log_p.device)])


class ClassBalanced(BatchStrategy):
    """The batch S, chosen greedily, of the highest sum_{i in S} H(p_i) / ln C - weight Δ(S), with
    Δ(S) = sum_c max(0, τ - m_c - sum_{i in S} p_ic): how far the expected class counts stay below balance.

    m_c are the labelled samples of class c and τ = (sum_c m_c + b) / C is an even share of all that will be labelled. The
    paper has both terms in one problem over the whole batch; here it is solved greedily. O(n C) for the first sample; for
    each of the others O(n), and O(C) for every sample that may still be the best, at worst for all n.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight

    def select(self, pool: Pool, k: int) -> list[int]:
        """Return k positions; ties are broken by a draw by sample id, the one that breaks those of scores."""
        counts = pool.labeled.class_counts.double()
        share = (counts.sum() + k) / len(counts)
        objective = Balance(pool.log_probabilities, (share - counts).clamp(min=0), self._weight)
        return lazily(objective, ties(pool), k)


def build(params: Settings) -> BatchStrategy:
    """Return the strategy."""
    return ClassBalanced(params.weight)
