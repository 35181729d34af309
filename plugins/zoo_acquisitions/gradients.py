"""Strategies by the gradients that labels would give the last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bases import BatchStrategy, Pool
from zoo.components import NoParams
from zoo_acquisitions.distances import BLOCK
from zoo_acquisitions.nearest import Nearest
from zoo_acquisitions.ordered import Gumbel, OrderedStrategy, ties


class Gradients:
    """The gradients g = a ⊗ h of the cross-entropy of a linear layer, a = p - e_ŷ, h the embedding, as these two factors.

    Their inner products factor, g_i·g_j = (a_i·a_j)(h_i·h_j), so that no gradient of C·D numbers is ever made.
    """

    def __init__(self, log_probabilities: Tensor, embeddings: Tensor, dtype: torch.dtype = torch.float32) -> None:
        self._log_p, self._embeddings, self._dtype = log_probabilities, embeddings, dtype
        rows = torch.arange(len(embeddings), device=embeddings.device).split(BLOCK)
        lengths = [self._errors(some).square().sum(dim=1) * self._take(some).square().sum(dim=1) for some in rows]
        self.norms = torch.cat(lengths)

    def products(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return the inner products of gradients, `(r, o)`."""
        found = self._errors(rows) @ self._errors(others).T
        return found.mul_(self._take(rows) @ self._take(others).T)

    def _errors(self, rows: Tensor) -> Tensor:
        """Return p - e_ŷ, `(r, C)`; that of the predicted class by expm1, which keeps the digits of a small error."""
        log_p = self._log_p[rows].to(self._dtype)
        top, predicted = log_p.max(dim=1, keepdim=True)
        return log_p.exp().scatter_(1, predicted, top.expm1())

    def _take(self, rows: Tensor) -> Tensor:
        return self._embeddings[rows].to(self._dtype)


class Badge(OrderedStrategy):
    """k-means++ seeding over gradient embeddings g = (p - e_ŷ) ⊗ h, those of the label that the net itself predicts.

    The sample with the longest gradient comes first; then samples are drawn in proportion to the squared distance of their
    gradient to the nearest one chosen, ||g_i - g_j||² = ||a_i||² ||h_i||² + ||a_j||² ||h_j||² - 2 (a_i·a_j)(h_i·h_j) with
    a = p - e_ŷ. Ash, Zhang, Krishnamurthy, Langford and Agarwal, "Deep batch active learning by diverse, uncertain gradient
    lower bounds", ICLR 2020. Cost O(n b (C + D)) time at worst and O(n) memory.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self._dtype = dtype

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the order in which they were drawn."""
        gradients, drawn = Gradients(pool.log_probabilities, pool.embeddings, self._dtype), ties(pool, "badge")
        longest = (gradients.norms == gradients.norms.max()).nonzero()[:, 0].cpu()
        first = int(longest[drawn[longest].argmin()])
        nearest = Nearest(gradients, len(pool), [first])
        return [first, *nearest.choose(k - 1, drawn, Gumbel(pool, "badge/draws"))]


def build_badge(params: NoParams) -> BatchStrategy:
    """Return the strategy."""
    return Badge()
