"""A gate in front of a strategy: what looks as if it were of no known class is not asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.active.gate import boundary, knn, threshold
from zoo.active.selection import select
from zoo.bases import Gate, Pool
from zoo.errors import ComponentError
from zoo.training.outliers import energy
from zoo_acquisitions.distributions import rows_within
from zoo_acquisitions.specs.filters import needs_of
from zoo_acquisitions.specs.gate import NEIGHBOURS
from zoo_acquisitions.specs.gate import Gate as GateParams

_ROUNDING = 1e-4  # of energies that are 0 on paper


class OutlierGate(Gate):
    """Lets a strategy choose among samples whose outlier score is at most a threshold; the others follow, the least suspicious first.

    The score is the free energy of the logits (Liu, Wang, Owens and Li, "Energy-based out-of-distribution detection", NeurIPS
    2020), or the distance to the k-th nearest labelled sample (Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep
    nearest neighbors", ICML 2022). The threshold is a quantile of the scores that labelled samples have for models that were not
    trained on them, or, where it is lower, the limit by which such models tell the most of all answered samples rightly, known and
    unknown: what share of the pool is unknown plays no part, and more unknown answers than known ones weigh no more. Cost beside
    the strategy's: O(n C), or O(n m D) for m labelled samples, and a training for each fold.
    """

    def __init__(self, params: GateParams) -> None:
        self._inner, self._needs = params.strategy.build(), needs_of(params.strategy)
        self._by, self._accept = params.by, params.accept

    def judge(self, pool: Pool) -> tuple[Tensor, float]:
        """Return the outlier score `(n,)` of each sample, and the highest that is accepted."""
        if self._by == "energy":
            scores = _energies(pool.logits)
            if bool((scores.abs() < _ROUNDING).all()):
                raise ComponentError(
                    "the model gives log-probabilities, as an ensemble that averages probabilities does: their energies are all 0",
                    possible="a gate by distances from what is labelled",
                    hint="{name: gate, by: nearest, strategy: …}",
                )
            known = [_energies(fold.logits) for fold in pool.held_out]
            unknown = [_energies(fold.unknown_logits) for fold in pool.held_out if len(fold.unknown_logits)]
        else:
            scores = _distances(pool.embeddings, pool.labeled.embeddings)
            known = [_distances(fold.embeddings, fold.others) for fold in pool.held_out]
            unknown = [
                _distances(fold.unknown_embeddings, fold.others)
                for fold in pool.held_out
                if len(fold.unknown_embeddings)
            ]
        limit = threshold(torch.cat(known), self._accept).value
        return scores, min(limit, boundary(torch.cat(known), torch.cat(unknown))) if unknown else limit

    def choose(self, pool: Pool, k: int, scores: Tensor, limit: float) -> Sequence[int]:
        """Return positions in the strategy's order, then those that are not accepted."""
        scores = scores.cpu()
        kept = (scores <= limit).nonzero()[:, 0]
        chosen: list[int] = []
        if len(kept):
            part = pool.taken(kept, self._needs)
            chosen = [int(kept[position]) for position in select(self._inner, part, min(k, len(kept)))]
        if len(chosen) == k:
            return chosen
        suspects = (scores > limit).nonzero()[:, 0].tolist()
        order = sorted(suspects, key=lambda row: (float(scores[row]), pool.ids[row]))
        return [*chosen, *order[: k - len(chosen)]]


def _energies(logits: Tensor) -> Tensor:
    """Return the energies, a bounded number of rows at once: on their way they are as large as the logits."""
    return torch.cat([energy(rows) for rows in logits.split(rows_within(logits.shape[1]))])


def _distances(embeddings: Tensor, labeled: Tensor) -> Tensor:
    return knn(embeddings, labeled, min(NEIGHBOURS, len(labeled)))


def build(params: GateParams) -> Gate:
    """Return the strategy behind its gate."""
    return OutlierGate(params)
