"""Strategies by the gradients that labels would give the last layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.bases import BatchStrategy, Pool
from zoo.components import NoParams
from zoo_acquisitions.distances import BLOCK
from zoo_acquisitions.distributions import gathered
from zoo_acquisitions.fisher import Factors, InformationTrace
from zoo_acquisitions.nearest import Nearest
from zoo_acquisitions.ordered import Gumbel, OrderedStrategy, ties
from zoo_acquisitions.specs.gradients import Bait as BaitParams

_OVERSAMPLED = 2  # as in the authors' experiments with BAIT


class Gradients:
    """The gradients g = a ⊗ h of the cross-entropy of a linear layer, a = p - e_ŷ, h the embedding, as these two factors.

    Their inner products factor, g_i·g_j = (a_i·a_j)(h_i·h_j), so that no gradient of C·D numbers is ever made.
    """

    def __init__(self, log_probabilities: Tensor, embeddings: Tensor, dtype: torch.dtype = torch.float32) -> None:
        self._log_p, self._embeddings, self._dtype = log_probabilities, embeddings, dtype
        rows = torch.arange(len(embeddings), device=embeddings.device).split(BLOCK)
        self.norms = gathered(map(self._length, rows), len(embeddings))

    def _length(self, rows: Tensor) -> Tensor:
        return self._errors(rows).square().sum(dim=1) * self._take(rows).square().sum(dim=1)

    def products(self, rows: Tensor, others: Tensor) -> Tensor:
        """Return the inner products of gradients, `(r, o)`."""
        found = self._errors(rows) @ self._errors(others).T
        return found.mul_(self._take(rows) @ self._take(others).T)

    def _errors(self, rows: Tensor) -> Tensor:
        """Return p - e_ŷ, `(r, C)`; that of the predicted class by the sum of the others, which has the digits of a small error."""
        log_p = self._log_p[rows].to(self._dtype)
        predicted = log_p.argmax(dim=1, keepdim=True)
        errors = log_p.exp().scatter_(1, predicted, 0.0)
        return errors.scatter_(1, predicted, -errors.sum(dim=1, keepdim=True))

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
        first = _first(gradients.norms, gradients.norms.max(), drawn)
        nearest = Nearest(gradients, len(pool), [first])
        return [first, *nearest.choose(k - 1, drawn, Gumbel(pool, "badge/draws"))]


class Bait(OrderedStrategy):
    """The set S whose labels would tell most about the last layer's weights: small trace((λ I + L + sum_{i in S} F_i)^-1 F).

    F_i is the Fisher information of a sample, L the sum of those of the labelled samples, and F that of all, with labels and
    without. A greedy choice of 2 b samples, each the one that lowers the trace most, from which b are taken out again, each the
    one that raises it least. Ash, Goel, Krishnamurthy and Kakade, "Gone fishing: neural active learning with Fisher embeddings",
    NeurIPS 2021.

    Approximations: for C classes the embeddings are projected to d = min(D, max(1, size / C)) directions; F_i has the `classes`
    = q most probable labels only. Cost O((n + m) q (C d)²) at first for m labelled samples, then O(n q C d + (C d)² q) for each of
    3 b steps; memory O(n q² + (C d)²), 320 MB for 200,000 samples and q = 10: filter a large pool first.
    """

    def __init__(self, params: BaitParams) -> None:
        self._params = params

    def choose(self, pool: Pool, k: int) -> Sequence[int]:
        """Return the positions in the order in which they were chosen."""
        trace, drawn = self._trace(pool), ties(pool, "bait")
        chosen: list[int] = []
        for _ in range(min(_OVERSAMPLED * k, len(pool))):
            gains = trace.gains()
            gains[chosen] = -torch.inf
            chosen.append(_first(gains, gains.max(), drawn))
            trace.add(chosen[-1])
        while len(chosen) > k:
            losses = trace.losses(torch.tensor(chosen))
            trace.remove(chosen.pop(_first(losses, losses.min(), drawn[chosen])))
        return chosen

    def _trace(self, pool: Pool) -> InformationTrace:
        dimensions = max(1, self._params.size // pool.log_probabilities.shape[1])
        factors = Factors(pool.log_probabilities, pool.embeddings, self._params.classes, dimensions)
        if not len(pool.labeled.labels):
            return InformationTrace(factors, self._params.regularization)
        labelled = factors.of(pool.labeled_log_probabilities, pool.labeled.embeddings)
        return InformationTrace(factors, self._params.regularization, labelled.total())


def _first(values: Tensor, wanted: Tensor, drawn: Tensor) -> int:
    """Return the position of the wanted value; of several, the one with the lowest draw."""
    found = (values == wanted).nonzero()[:, 0].cpu()
    return int(found[drawn[found].argmin()])


def build_bait(params: BaitParams) -> BatchStrategy:
    """Return the strategy."""
    return Bait(params)


def build_badge(params: NoParams) -> BatchStrategy:
    """Return the strategy."""
    return Badge()
