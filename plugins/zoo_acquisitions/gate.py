"""A gate in front of a strategy: what looks as if it were of no known class is not asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.active.gate import energy, knn, threshold
from zoo.active.selection import select
from zoo.bases import Gate, Pool
from zoo_acquisitions.specs.filters import needs_of
from zoo_acquisitions.specs.gate import NEIGHBOURS
from zoo_acquisitions.specs.gate import Gate as GateParams


class OutlierGate(Gate):
    """Lets a strategy choose among samples whose outlier score is at most a threshold; the others follow, the least suspicious first.

    The score is the free energy of the logits (Liu, Wang, Owens and Li, "Energy-based out-of-distribution detection", NeurIPS
    2020), or the distance to the k-th nearest labelled sample (Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep
    nearest neighbors", ICML 2022). The threshold is a quantile of the scores that labelled samples have for models that were not
    trained on them: what share of the pool is unknown plays no part. Cost beside the strategy's: O(n C), or O(n m D) for m labelled
    samples, and a training for each fold.
    """

    def __init__(self, params: GateParams) -> None:
        self._inner, self._needs = params.strategy.build(), needs_of(params.strategy)
        self._by, self._accept = params.by, params.accept

    def suspicion(self, pool: Pool) -> Tensor:
        """Return the outlier score `(n,)` of each sample."""
        return (
            self._scores(pool.logits) if self._by == "energy" else self._far(pool.embeddings, pool.labeled.embeddings)
        )

    def accepted(self, pool: Pool) -> Tensor:
        """Return bool `(n,)`: whose score is at most the threshold."""
        return self.suspicion(pool) <= self.threshold(pool)

    def threshold(self, pool: Pool) -> float:
        """Return the highest score that is accepted."""
        folds = pool.held_out
        by_energy = self._by == "energy"
        held = [self._scores(f.logits) if by_energy else self._far(f.embeddings, f.others) for f in folds]
        return threshold(torch.cat(held), self._accept).value

    def select(self, pool: Pool, k: int) -> Sequence[int]:
        """Return positions in the strategy's order, then those that are not accepted."""
        accepted = self.accepted(pool)
        kept = accepted.nonzero()[:, 0]
        chosen: list[int] = []
        if len(kept):
            part = pool.taken(kept, self._needs)
            chosen = [int(kept[position]) for position in select(self._inner, part, min(k, len(kept)))]
        if len(chosen) == k:
            return chosen
        scores, suspects = self.suspicion(pool).tolist(), (~accepted).nonzero()[:, 0].tolist()
        order = sorted(suspects, key=lambda row: (scores[row], pool.ids[row]))
        return [*chosen, *order[: k - len(chosen)]]

    @staticmethod
    def _scores(logits: Tensor) -> Tensor:
        return energy(logits)

    @staticmethod
    def _far(embeddings: Tensor, labeled: Tensor) -> Tensor:
        return knn(embeddings, labeled, min(NEIGHBOURS, len(labeled)))


def build(params: GateParams) -> Gate:
    """Return the strategy behind its gate."""
    return OutlierGate(params)
