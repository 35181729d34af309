"""Batches of the highest joint mutual information with the weights (Kirsch, van Amersfoort and Gal, "BatchBALD: efficient
and diverse batch acquisition for deep Bayesian active learning", NeurIPS 2019).

With y_S the unknown labels of a batch S, the score is a(S) = H(y_S) - sum_{i in S} mean_t H(y_i | t), and what a sample adds
to it is its mutual information with the weights once y_S is known:
a(S + i) - a(S) = sum over y_S of p(y_S) [H(sum_t p(t | y_S) p_ti) - sum_t p(t | y_S) H(p_ti)].
No sample adds less than nothing, and what it adds only falls as the batch grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.active.selection import select, ties
from zoo.bases import BatchStrategy, Pool
from zoo.training.randomness import uniform_ids
from zoo_acquisitions.bayesian import BALD
from zoo_acquisitions.distributions import by_rows, information, normalized, rows_within
from zoo_acquisitions.greedy import lazily
from zoo_acquisitions.specs.bayesian import BatchBALD as Settings


@dataclass(frozen=True, slots=True)
class Labelings:
    """M labelings y_S of a batch: float64 `weights` `(M,)` that sum to 1, and `posterior` `(T, M)`, p(t | y_S) of each pass.

    Neither underflows, however large the batch: a product of probabilities is never formed.
    """

    weights: Tensor
    posterior: Tensor

    @classmethod
    def of_nothing(cls, passes: int, device: torch.device) -> Labelings:
        """Return the one labeling of an empty batch."""
        one = torch.ones(1, dtype=torch.float64, device=device)
        return cls(one, one.expand(passes, 1) / passes)

    def information(self, p: Tensor) -> Tensor:
        """Return `(n,)`, what each sample would add, given float64 probabilities `(n, T, C)`."""
        n, passes, classes = p.shape
        predicted = (p.mT.reshape(-1, passes) @ self.posterior).view(n, classes, -1)
        unsure = -torch.xlogy(predicted, predicted).sum(dim=1) @ self.weights
        noise = -torch.xlogy(p, p).sum(dim=2) @ (self.posterior @ self.weights)
        return (unsure - noise).clamp(min=0)

    def extended(self, p: Tensor) -> Labelings:
        """Return all labelings of the batch with one more sample, of probabilities `(T, C)`, but impossible ones."""
        joint = (self.posterior[:, :, None] * p[:, None]).flatten(1)
        chances = joint.sum(dim=0)
        weights = (self.weights[:, None] * chances.view(len(self.weights), -1)).flatten()
        possible = weights > 0
        return Labelings(weights[possible], joint[:, possible] / chances[possible])

    def sampled(self, p: Tensor, draws: Tensor) -> Labelings:
        """Return labelings of the batch with one more sample, drawn by their probability with `draws` `(S, 2)` in [0, 1).

        The first draws take labelings of the batch, one in each S-th of their weight: where there are S of equal weight,
        each is taken once. The second draw the label of the new sample.
        """
        levels = (torch.arange(len(draws), device=draws.device) + draws[:, 0]) / len(draws)
        taken = torch.searchsorted(self.weights.cumsum(0), levels, right=True).clamp(max=len(self.weights) - 1)
        posterior = self.posterior[:, taken]
        totals = (p.mT @ posterior).cumsum(dim=0)
        labels = (totals <= draws[:, 1] * totals[-1]).sum(dim=0).clamp(max=len(totals) - 1)
        joint = posterior * p[:, labels]
        return Labelings(torch.full_like(levels, 1 / len(draws)), joint / joint.sum(dim=0))


class Joint:
    """The objective: what candidates add to the joint mutual information of a batch."""

    def __init__(self, log_p: Tensor, candidates: Tensor, pool: Pool, settings: Settings) -> None:
        self._log_p, self._candidates, self._pool, self._settings = log_p, candidates, pool, settings
        self._passes, self._classes = log_p.shape[1:]
        self._labelings = Labelings.of_nothing(self._passes, log_p.device)
        self._size = 0

    @property
    def rows(self) -> int:
        """How many candidates' predictions under all labelings fit into a bounded memory."""
        return rows_within(self._classes, max(self._passes, len(self._labelings.weights)))

    def gains(self, positions: Tensor) -> Tensor:
        """Return what each of the candidates adds."""
        return self._labelings.information(self._probabilities(self._candidates[positions]))

    def add(self, position: int) -> None:
        """Put a candidate into the batch."""
        row = self._candidates[position]
        p = self._probabilities(row[None])[0]
        self._size += 1
        if self._classes ** (self._size + 1) <= self._settings.exact:
            self._labelings = self._labelings.extended(p)
        else:
            self._labelings = self._labelings.sampled(p, self._draws(self._pool.ids[int(row)]).to(p.device))

    def _probabilities(self, rows: Tensor) -> Tensor:
        return normalized(self._log_p[rows.to(self._log_p.device)]).exp()

    def _draws(self, sample: str) -> Tensor:
        count = self._settings.samples
        drawn = uniform_ids(self._pool.seed, "batch-bald/labels", self._pool.round, [sample], 2 * count)
        return drawn.view(count, 2)


class BatchBALD(BatchStrategy):
    """The batch of the highest joint mutual information, chosen greedily, each sample beside those before it.

    Joint entropies are exact while the C^(|S| + 1) labelings of batch and candidate number `exact` at most; thereafter they
    are means over `samples` drawn labelings of the batch. O(M T C) for each candidate looked at, with M labelings of the
    batch, at most max(exact / C, samples); all n, or `candidates`, are looked at for the first sample, and only those that
    may still be the best for each of the others (drawn labelings change this estimate by their own error, no more).
    O(M T + n) memory beside blocks of 16 MiB.

    A batch tells no more than which of the T passes is right, ln T nats. Of ten samples on repeated MNIST the first five told 2.2
    of the 2.3 nats of ten passes, at whatever M: those after them are hardly told apart, copies among them. More passes tell more,
    and so do more candidates: models that took one copy in seven of 2,000 candidates took one in thirty of all 170,584.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def select(self, pool: Pool, k: int) -> list[int]:
        """Return k positions, first the one that bald has first, ties included."""
        candidates = self._candidates(pool, k)
        part = pool.taken(candidates)
        log_p = part.mc_log_probabilities
        objective = Joint(log_p, torch.arange(len(part)), part, self._settings)
        chosen = lazily(objective, ties(part), k, by_rows(information, log_p).cpu())
        positions: list[int] = candidates[torch.tensor(chosen)].tolist()
        return positions

    def _candidates(self, pool: Pool, k: int) -> Tensor:
        if self._settings.candidates is None:
            return torch.arange(len(pool))
        return torch.tensor(select(BALD(), pool, min(len(pool), max(k, self._settings.candidates))))


def build(params: Settings) -> BatchStrategy:
    """Return the strategy."""
    return BatchBALD(params)
