"""Query by committee (Seung, Opper and Sompolinsky, COLT 1992), with M members; each costs O(n M C)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.bases import Block, Pool, ScoreStrategy
from zoo_acquisitions.distributions import by_rows, information, vote_shares
from zoo_acquisitions.specs.committee import Committee


class VoteEntropy(ScoreStrategy):
    """The entropy of the votes: -sum_c v_c ln v_c, with v_c the share of members whose most probable class is c.

    Dagan and Engelson, "Committee-based sampling for training probabilistic classifiers", ICML 1995. A member for whom
    classes tie votes for the lowest of them.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (unanimous) to ln min(M, C)."""
        shares = vote_shares(block.committee)
        return -torch.xlogy(shares, shares).sum(dim=1)


class MeanDivergence(ScoreStrategy):
    """The Kullback-Leibler divergence of the members from their mean p, mean over members:
    mean_m sum_c p_mc ln(p_mc / p_c), which is H(p) - mean_m H(p_m).

    McCallum and Nigam, "Employing EM and pool-based active learning for text classification", ICML 1998.
    """

    def score(self, block: Block, pool: Pool) -> Tensor:
        """Return float64 `(n,)` from 0 (identical members) to ln min(M, C), in nats."""
        return by_rows(information, block.committee)


def build(params: Committee) -> ScoreStrategy:
    """Return the strategy of this disagreement."""
    return MeanDivergence() if params.disagreement == "kl" else VoteEntropy()
